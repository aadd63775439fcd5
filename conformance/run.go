package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Answer is what a verifier said of a pack. Output is what it printed; if that is JSON, the codes
// and verdicts in it are compared as well.
type Answer struct {
	Exit   int
	Output []byte
}

// Judge asks a verifier about a pack; args are the flags of the case.
type Judge func(ctx context.Context, pack string, args []string) (Answer, error)

// Options say which cases to run, and how strictly to compare.
type Options struct {
	Judge      Judge
	Filter     *regexp.Regexp // of ids and attacks; nil: all
	Extensions bool           // also the cases that use flags which the reference tool does not have
	ExitOnly   bool           // compare exit codes only, not verdicts and finding codes
}

// Outcome is one case after it was run.
type Outcome struct {
	Case    Case
	Answer  Answer
	Codes   []string // that the verifier reported
	State   State
	Problem string // what does not agree, or why the case was not run
}

// State is what became of a case.
type State string

const (
	Agrees    State = "ok"
	Disagrees State = "DIFFERS"
	Carried   State = "go test" // a Go test carries it, nothing was run here
	NotRun    State = "not run"
)

// Run judges the cases in their order. An error means that the corpus is bad; a verifier that cannot be
// asked disagrees.
func (c *Corpus) Run(ctx context.Context, o Options) ([]Outcome, error) {
	scratch, err := os.MkdirTemp("", "assay-conformance-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, err
	}
	var list []Outcome
	for _, k := range c.Cases {
		if o.Filter != nil && !o.Filter.MatchString(k.ID) && !slices.ContainsFunc(k.Attacks, o.Filter.MatchString) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out, err := c.runCase(ctx, k, dir, scratch, o)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", k.ID, err)
		}
		list = append(list, out)
	}
	return list, nil
}

func (c *Corpus) runCase(ctx context.Context, k Case, dir, scratch string, o Options) (Outcome, error) {
	out := Outcome{Case: k}
	switch {
	case k.Test != "":
		out.State, out.Problem = Carried, k.Test
		return out, nil
	case k.Extension && !o.Extensions:
		out.State, out.Problem = NotRun, "uses flags of our own"
		return out, nil
	}
	defer os.RemoveAll(filepath.Join(scratch, k.ID)) // the cases after it want the space
	path, err := c.place(k, scratch)
	if errors.Is(err, errHere) {
		out.State, out.Problem = NotRun, err.Error()
		return out, nil
	}
	if err != nil {
		return out, err
	}
	args := make([]string, len(k.Args))
	for i, arg := range k.Args {
		args[i] = strings.ReplaceAll(arg, "{corpus}", dir)
	}
	answer, err := o.Judge(ctx, path, args)
	if out.Answer = answer; err != nil {
		out.State, out.Problem = Disagrees, err.Error()
		return out, nil
	}
	out.compare(o.ExitOnly)
	return out, nil
}

// compare gives the state. The exit code always counts; what the output says counts if it is JSON.
func (out *Outcome) compare(exitOnly bool) {
	want := out.Case.Expect
	var problems []string
	if out.Answer.Exit != want.Exit {
		problems = append(problems, fmt.Sprintf("exit %d", out.Answer.Exit))
	}
	said, err := jcs.Parse(out.Answer.Output, jcs.Limits{Bytes: 64 << 20})
	if err == nil {
		out.Codes = codes(said, nil)
		if !exitOnly {
			problems = append(problems, want.problems(said, out.Codes)...)
		}
	} else if !exitOnly && want.Integrity+want.Claims+strings.Join(want.Codes, "") != "" {
		problems = append(problems, "the output is not one JSON value")
	}
	out.State, out.Problem = Agrees, strings.Join(problems, "; ")
	if len(problems) > 0 {
		out.State = Disagrees
	}
}

func (e Expect) problems(said jcs.Value, codes []string) (problems []string) {
	for _, code := range e.Codes {
		if !slices.Contains(codes, code) {
			problems = append(problems, "no "+code)
		}
	}
	one := said
	if packs, ok := said.Get("packs"); ok && len(packs.Items) == 1 {
		one = packs.Items[0]
	}
	for _, channel := range []struct{ want, name, reported string }{
		{e.Integrity, "integrity", "integrity_verdict"}, {e.Claims, "claims", "claim_verdict"},
	} {
		got, ok := one.Get(channel.name)
		if !ok || got.Kind != jcs.String {
			got, _ = one.Get(channel.reported)
		}
		if word := verdictOf(got.Text); channel.want != "" && word != channel.want {
			problems = append(problems, fmt.Sprintf("%s %s, expected %s", channel.name, word, channel.want))
		}
	}
	return problems
}

// verdictOf gives the words of a report (verify.md §17) in those of the corpus.
func verdictOf(word string) string {
	switch word {
	case "TAMPERED", "HONEST_FAIL":
		return "FAIL"
	case "NOT_EVALUATED", "N/A":
		return "SKIPPED"
	}
	return word
}

// codes are the finding codes in a report, wherever they stand: the texts of all members called code.
func codes(v jcs.Value, list []string) []string {
	for _, m := range v.Members {
		if m.Name == "code" && m.Value.Kind == jcs.String && !slices.Contains(list, m.Value.Text) {
			list = append(list, m.Value.Text)
		}
		list = codes(m.Value, list)
	}
	for _, item := range v.Items {
		list = codes(item, list)
	}
	return list
}
