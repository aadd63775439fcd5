package check

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// program runs a command line of a program, in this process, and returns its exit code.
type program = func(ctx context.Context, args []string, s cli.Streams) int

// conformanceRun is one run of 'conformance run', with its flags.
type conformanceRun struct {
	s                            cli.Streams
	assay                        program
	command, filter              string
	json, extensions, strictJSON bool
	timeout                      time.Duration
}

func conformanceRunCmd(s cli.Streams, assay program) *cobra.Command {
	o := conformanceRun{s: s, assay: assay}
	c := &cobra.Command{
		Use:   "run DIR",
		Short: "Judge every case of a corpus and compare",
		Long: `run shows each pack of the corpus to a verifier and compares its exit code with the expected one:
0 pass, 1 honest failure, 2 tampered, 3 nothing to verify. Without --command that is this program, in
text and in JSON, which must agree, and the verdicts and finding codes count as well.

--command names another verifier. {pack} stands for the folder of the pack and {args} for the flags of
the case, such as --require-claim-pass; what is not named is appended. Words are split at spaces, no
shell is involved. Cases that use flags which the reference tool does not have are run with
--extensions only, codes are compared with --codes only.

Exit 0: all agree. Exit 1: some differ. Exit 3: the corpus is bad.`,
		Example: `  assay conformance run conformance/corpus
  assay conformance run conformance/corpus --filter '^(P01|U5)$'
  assay conformance run conformance/corpus --command 'assay-py verify-pack {pack} --json' --json`,
		Args: cli.Args(cobra.ExactArgs(1), "one corpus, such as conformance/corpus of the source"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *conformanceRun) add(c *cobra.Command) {
	c.Flags().StringVar(&o.command, "command", "", "`CMD` of another verifier, with {pack} and {args} (default: this program)")
	c.Flags().StringVar(&o.filter, "filter", "", "`RE` that the id or an attack of a case must match")
	c.Flags().BoolVar(&o.extensions, "extensions", false, "with --command: also cases with flags that the reference tool does not have")
	c.Flags().BoolVar(&o.strictJSON, "codes", false, "with --command: compare verdicts and finding codes of its JSON too")
	c.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "with --command: how long a case may take")
	cli.JSONFlag(c, &o.json)
}

func (o *conformanceRun) check(c *cobra.Command) error {
	for _, name := range []string{"extensions", "codes", "timeout"} {
		if o.command == "" && c.Flags().Changed(name) {
			return cli.BadInput("", "--%s is about another verifier: name one with --command", name)
		}
	}
	return nil
}

func (o *conformanceRun) run(c *cobra.Command, args []string) error {
	if err := o.check(c); err != nil {
		return err
	}
	corpus, err := conformance.Open(args[0])
	if errors.Is(err, fs.ErrNotExist) {
		return cli.BadInput("the source has one in conformance/corpus; go run ./conformance/gen -o DIR writes it anywhere", "no corpus in %s", args[0])
	} else if err != nil {
		return cli.BadInput("", "bad corpus: %v", err)
	}
	options := conformance.Options{Judge: ourselves(o.assay), Extensions: true}
	if o.command != "" {
		words := strings.Fields(o.command)
		if len(words) == 0 {
			return cli.BadInput("such as --command \"python verify.py {pack}\"", "--command names no program")
		}
		options = conformance.Options{Judge: foreign(words, o.timeout), Extensions: o.extensions, ExitOnly: !o.strictJSON}
	}
	if o.filter != "" {
		if options.Filter, err = regexp.Compile(o.filter); err != nil {
			return cli.BadInput("", "--filter: %v", err)
		}
	}
	// What was started ends with us: a program in a group of its own hears no ^C.
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	outcomes, err := corpus.Run(ctx, options)
	if ctx.Err() != nil {
		return cli.Unavailable("run it again", "interrupted")
	} else if err != nil {
		return cli.BadInput("", "bad corpus: %v", err)
	}
	return showOutcomes(o.s, args[0], o.command, outcomes, o.json)
}

// ourselves judges as the command line of assay would, in text and in JSON.
func ourselves(assay program) conformance.Judge {
	return func(ctx context.Context, pack string, args []string) (conformance.Answer, error) {
		ask := func(more ...string) (int, []byte) {
			var out bytes.Buffer
			world := cli.Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard, Env: func(string) string { return "" }}
			return assay(ctx, slices.Concat([]string{"verify-pack", pack}, args, more), world), out.Bytes()
		}
		code, text := ask()
		jsonCode, object := ask("--json")
		answer := conformance.Answer{Exit: code, Output: object}
		if code != jsonCode {
			return answer, fmt.Errorf("exit %d in text, %d with --json", code, jsonCode)
		}
		for _, output := range [][]byte{text, object} {
			// A pack must not write on the terminal of who verifies it (threats.md P24).
			if i := bytes.IndexFunc(output, isControl); i >= 0 {
				return answer, fmt.Errorf("byte %d of the output is a control character", i)
			}
		}
		return answer, nil
	}
}

func isControl(r rune) bool { return r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 }

func showOutcomes(s cli.Streams, dir, command string, outcomes []conformance.Outcome, asJSON bool) error {
	counts := map[conformance.State]int64{}
	for _, o := range outcomes {
		counts[o.State]++
	}
	code, status := cli.ExitPass, "ok"
	switch {
	case counts[conformance.Disagrees] > 0:
		code, status = cli.ExitHonestFail, "differs"
	case counts[conformance.Agrees] == 0:
		return cli.BadInput("run without --filter", "no case was run")
	}
	show := outcomeTable
	if asJSON {
		show = outcomeJSON
	}
	return cli.Judged(code, show(s.Out, dir, command, outcomes, counts, code, status))
}

func outcomeTable(out io.Writer, dir, command string, outcomes []conformance.Outcome, counts map[conformance.State]int64, code int, _ string) error {
	w := new(strings.Builder)
	width := len("case")
	for _, o := range outcomes {
		width = max(width, len(o.Case.ID))
	}
	fmt.Fprintf(w, "%-*s  %-12s  expected  got  %-8s\n", width, "case", "attack", "")
	for _, o := range outcomes {
		got := "-"
		if o.State == conformance.Agrees || o.State == conformance.Disagrees {
			got = fmt.Sprint(o.Answer.Exit)
		}
		note := o.Problem
		if o.State == conformance.Disagrees {
			note = o.Case.Title + ": " + note
		}
		line := fmt.Sprintf("%-*s  %-12s  %-8d  %-3s  %-8s %s", width, o.Case.ID, strings.Join(o.Case.Attacks, " "), o.Case.Expect.Exit, got, o.State, note)
		fmt.Fprintf(w, "%s\n", terminal.Safe(strings.TrimRight(line, " ")))
	}
	who := "this program"
	if command != "" {
		who = command
	}
	fmt.Fprintf(w, "\n%s by %s: %d agree, %d differ, %d carried by Go tests, %d not run\n", terminal.Safe(filepath.Clean(dir)), terminal.Safe(who),
		counts[conformance.Agrees], counts[conformance.Disagrees], counts[conformance.Carried], counts[conformance.NotRun])
	_, err := io.WriteString(out, w.String())
	return err
}

func outcomeJSON(out io.Writer, dir, command string, outcomes []conformance.Outcome, counts map[conformance.State]int64, code int, status string) error {
	words := func(list []string) jcs.Value {
		v := jcs.Arr()
		for _, s := range list {
			v.Items = append(v.Items, jcs.Loose(s))
		}
		return v
	}
	cases := jcs.Arr()
	for _, o := range outcomes {
		c := jcs.Obj(
			jcs.M("id", jcs.Str(o.Case.ID)),
			jcs.M("attacks", words(o.Case.Attacks)),
			jcs.M("state", jcs.Str(string(o.State))),
			jcs.M("expected_exit", jcs.Int(int64(o.Case.Expect.Exit))))
		if o.State == conformance.Agrees || o.State == conformance.Disagrees {
			c.Members = append(c.Members, jcs.M("exit", jcs.Int(int64(o.Answer.Exit))), jcs.M("codes", words(o.Codes)))
		}
		if o.Problem != "" {
			c.Members = append(c.Members, jcs.M("problem", jcs.Loose(o.Problem)))
		}
		cases.Items = append(cases.Items, c)
	}
	return cli.PrintJSON(out, cli.Answer("conformance run", status, code,
		jcs.M("corpus", jcs.Loose(dir)),
		jcs.M("verifier", jcs.Loose(command)),
		jcs.M("agree", jcs.Int(counts[conformance.Agrees])),
		jcs.M("differ", jcs.Int(counts[conformance.Disagrees])),
		jcs.M("go_test", jcs.Int(counts[conformance.Carried])),
		jcs.M("not_run", jcs.Int(counts[conformance.NotRun])),
		jcs.M("cases", cases)))
}
