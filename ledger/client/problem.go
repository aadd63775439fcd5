package client

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// Problem is a refusal: an RFC 9457 problem as the server told it. Its texts hold
// no control characters and are short, so that they can be printed.
type Problem struct {
	Type     string
	Title    string
	Status   int // of the HTTP answer
	Detail   string
	Findings []manifest.Finding
	Reasons  []string // of a ledger that is not ready
	Page     bool     // the body was an HTML page, which no ledger sends
}

func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the ledger answered %d", p.Status)
	if p.Title != "" {
		b.WriteString(" " + p.Title)
	}
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	switch {
	case p.Page:
		b.WriteString(" with an HTML page: is there a portal or a proxy in between?")
	case p.foreign():
		b.WriteString(" without a ledger's words: is there a portal or a proxy in between?")
	}
	for _, r := range p.Reasons {
		b.WriteString(" [" + r + "]")
	}
	for _, f := range p.Findings {
		b.WriteString(" [" + strings.TrimSpace(f.Code+" "+f.Field) + "]")
	}
	return b.String()
}

// Is makes 429, every 5xx and the refusals of somebody in between an ErrUnavailable.
func (p *Problem) Is(target error) bool {
	return target == ErrUnavailable && (p.Status == http.StatusTooManyRequests || p.Status >= 500 || p.foreign())
}

// foreign: that a manifest does not verify is a ledger's judgement, and told in its words only. A page is
// nobody's judgement; with 404 the URL is the likelier mistake, and stores of tiles send pages with it too.
func (p *Problem) foreign() bool {
	return p.Status == http.StatusUnprocessableEntity && p.Type != manifestRejected || p.Page && p.Status != http.StatusNotFound
}

// manifestRejected is the type of a ledger's 422.
const manifestRejected = "/problems/manifest-rejected"

var errProblem = errors.New("body is no problem+json")

const (
	maxText     = 300 // bytes of one text of a problem
	maxFindings = 32
)

// problemOf makes a Problem of any refusal; what the body does not tell, the status does.
func problemOf(status int, contentType string, body []byte) *Problem {
	p := &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Page: isHTML(body) || strings.HasPrefix(contentType, "text/html")}
	if media, _, _ := strings.Cut(contentType, ";"); strings.TrimSpace(media) != "application/problem+json" {
		return p
	}
	if told, err := parseProblem(body); err == nil {
		told.Status = status // the body cannot make a 422 a 503
		return told
	}
	return p
}

// parseProblem reads problem+json strictly as JSON, and leniently as a problem:
// RFC 9457 wants unknown members ignored, and members of another type too.
func parseProblem(body []byte) (*Problem, error) {
	v, err := jcs.Parse(body, jcs.Limits{Bytes: maxProblem, Depth: 8})
	if err != nil {
		return nil, err
	}
	if v.Kind != jcs.Object {
		return nil, errProblem
	}
	p := &Problem{Type: memberText(v, "type"), Title: memberText(v, "title"), Detail: memberText(v, "detail")}
	if p.Type == "" {
		p.Type = "about:blank" // SPEC RFC 9457: "When this member is not present, its value is assumed to be about:blank"
	}
	if s, ok := v.Get("status"); ok && s.Kind == jcs.Number {
		p.Status, _ = strconv.Atoi(s.Text)
	}
	findings, _ := v.Get("findings")
	for _, f := range findings.Items[:min(len(findings.Items), maxFindings)] {
		if f.Kind == jcs.Object {
			p.Findings = append(p.Findings, manifest.Finding{
				Code: memberText(f, "code"), Field: memberText(f, "field"), Message: memberText(f, "message"), Receipt: -1})
		}
	}
	reasons, _ := v.Get("reasons")
	for _, r := range reasons.Items[:min(len(reasons.Items), maxFindings)] {
		if text := memberText(r, "detail"); text != "" {
			p.Reasons = append(p.Reasons, text)
		}
	}
	return p, nil
}

func memberText(v jcs.Value, name string) string {
	m, ok := v.Get(name)
	if !ok || m.Kind != jcs.String {
		return ""
	}
	return printable(m.Text)
}

// printable replaces what a terminal or a log would act on (controls, bidi, line breaks).
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > maxText {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
