package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// page is what page.html shows. All texts in it went through visible; html/template escapes the markup.
type page struct {
	PageTitle, Title string
	StyleHash        template.HTML // of our own style sheet: base64
	Style            template.CSS
	Channels         []shownChannel
	Code             int
	Mark             string // of the verdict, for who sees no colours
	Sentence         string
	Facts            []Fact
	Claims           []shownClaim
	Reexecuted       bool
	Proves, Never    []string
	Limits           []shownLimit
	Findings         []string
	Warnings         []string
	Needs, Script    string
	Beyond           []string
	At, Version      string
}

type shownChannel struct {
	Name, Label, Word, Verdict, Text string
	Parts                            []string
}
type shownClaim struct{ ID, Word, Verdict, Severity, Expected, Actual string }
type shownLimit struct {
	Name, Text string
	Narrowed   bool
}

// HTML is the judgement as one page that loads nothing and runs nothing, for light and dark screens,
// phones and paper.
func (r *Report) HTML() ([]byte, error) {
	// Parsed here and not once for all: a page is made once in a process.
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, r.page()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (r *Report) page() page {
	hash := sha256.Sum256([]byte(pageStyle))
	findings, warnings := r.Problems()
	p := page{
		PageTitle: "Proof pack " + visible(r.Title().String()), Title: visible(r.Title().String()),
		StyleHash: template.HTML("sha256-" + base64.StdEncoding.EncodeToString(hash[:])), Style: template.CSS(pageStyle),
		Code: r.ExitCode(), Mark: marks[r.ExitCode()], Sentence: r.Sentence(), Reexecuted: r.Claims.Reexecuted,
		Proves: shown(r.Proves()), Never: shown(r.Never()), Findings: shown(findings), Warnings: shown(warnings),
		Needs: Needs, Script: r.Script(), Beyond: shown(r.beyond()),
		At: r.At.UTC().Format(time.RFC3339), Version: r.Version,
	}
	for _, c := range r.Channels() {
		row := shownChannel{c.Name, c.Label(), c.Word, c.Verdict, visible(c.Text.String()), nil}
		for _, part := range c.Parts {
			row.Parts = append(row.Parts, part.Name+" "+part.Word+": "+visible(part.Text.String()))
		}
		p.Channels = append(p.Channels, row)
	}
	for _, f := range r.Facts() {
		p.Facts = append(p.Facts, Fact{f.Name, visible(f.Value)})
	}
	for _, c := range r.Claims.Results {
		p.Claims = append(p.Claims, r.shownClaim(c))
	}
	for _, l := range r.Limits() {
		p.Limits = append(p.Limits, shownLimit{l.Name, visible(l.Text.String()), l.Narrowed})
	}
	return p
}

// marks are by exit code, as the colours of the box of the verdict are.
var marks = map[int]string{0: "✓", 1: "!", 2: "✗"}

func (r *Report) shownClaim(c claim.Result) shownClaim {
	word, verdict := "PASS", wordPass
	switch {
	case !c.Passed:
		word, verdict = "FAIL", wordHonestFail
	case !r.Claims.Reexecuted:
		word, verdict = "NOT EVALUATED", wordInsufficient
	}
	return shownClaim{visible(c.ClaimID), word, verdict, visible(string(c.Severity)), visible(c.Expected), visible(c.Actual)}
}

func shown(lines []Text) (list []string) {
	for _, line := range lines {
		list = append(list, visible(line.String()))
	}
	return list
}
