package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// packing is what run and proof-pack have in common: from a trace to a verified pack.
type packing struct {
	cards            []string
	output, mode     string
	allowEmpty, json bool
	noGenerate       bool
}

func (p *packing) flags(c *cobra.Command) {
	c.Flags().StringArrayVarP(&p.cards, "run-card", "c", nil, "built-in card or card file to evaluate (repeat for more)")
	c.Flags().StringVarP(&p.output, "output", "o", "", "pack directory to make (default: proof_pack_TRACE)")
	c.Flags().StringVarP(&p.mode, "mode", "m", "shadow", "shadow, enforced or breakglass; recorded in the pack")
	c.Flags().BoolVar(&p.allowEmpty, "allow-empty", false, "make a pack even if nothing was recorded")
	c.Flags().BoolVar(&p.noGenerate, "no-generate-key", false, "fail if there is no signing key, instead of making one")
	c.Flags().BoolVar(&p.json, "json", false, "one JSON object on stdout; the program's own output goes to stderr")
}

func runCmd(s cmd.Streams) *cobra.Command {
	var p packing
	c := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG...]",
		Short: "Run a program, pack the receipts it emits, verify the pack",
		Long: `run starts CMD with ASSAY_TRACE_ID set, packs and signs every receipt emitted under that id,
and verifies the pack. It exits with the program's own code if that is not 0 (128 + the signal
if a signal ended it), else 2 if the pack does not verify, else 1 if a declared check fails.`,
		Example: `  assay run -c receipt_completeness -- python agent.py
  assay run -c guardian_enforcement -o ./evidence -- ./agent --task invoices`,
		Args: cmd.Args(cobra.MinimumNArgs(1), "a command after --"),
		RunE: func(_ *cobra.Command, args []string) error {
			now := time.Now()
			trace, err := capture.NewTraceID(now, rand.Reader)
			if err != nil {
				return err
			}
			// Everything that can be wrong is found before the program runs.
			job, err := p.prepare(s, trace)
			if err != nil {
				return err
			}
			child, err := runChild(s, job.home, trace, args, p.json)
			if err != nil {
				return err
			}
			return job.finish(child)
		},
	}
	p.flags(c)
	c.Flags().SetInterspersed(false)
	return c
}

func proofPackCmd(s cmd.Streams) *cobra.Command {
	var p packing
	c := &cobra.Command{
		Use:     "proof-pack TRACE",
		Short:   "Pack the receipts of an earlier run",
		Example: "  assay proof-pack trace_20260115T100000_5f2c9a01 -c receipt_completeness",
		Args:    cmd.Args(cobra.ExactArgs(1), "one trace id"),
		RunE: func(_ *cobra.Command, args []string) error {
			job, err := p.prepare(s, args[0])
			if err != nil {
				return err
			}
			return job.finish(0)
		},
	}
	p.flags(c)
	return c
}

// job is a packing whose inputs were all found good.
type job struct {
	packing
	s     cmd.Streams
	home  home
	trace string
	cards []pack.Card
	key   *keystore.Key
}

func (p packing) prepare(s cmd.Streams, trace string) (*job, error) {
	if !slices.Contains([]string{"shadow", "enforced", "breakglass"}, p.mode) {
		return nil, cmd.BadInput("", "mode %q is not shadow, enforced or breakglass", p.mode)
	}
	if p.output == "" {
		p.output = "proof_pack_" + trace
	}
	if _, err := os.Lstat(p.output); err == nil {
		return nil, cmd.BadInput("name another with --output", "%s exists", p.output)
	}
	cards, err := findCards(p.cards)
	if err != nil {
		return nil, err
	}
	h, err := openHome(s)
	if err != nil {
		return nil, err
	}
	key, err := signingKey(s, h, !p.noGenerate)
	if err != nil {
		return nil, err
	}
	return &job{packing: p, s: s, home: h, trace: trace, cards: cards, key: key}, nil
}

// findCards resolves each name: a built-in id first, so that no file can shadow one, then a file.
func findCards(names []string) ([]pack.Card, error) {
	var cards []pack.Card
	builtin := pack.BuiltinCards()
next:
	for _, name := range names {
		for _, card := range builtin {
			if card.ID == name {
				cards = append(cards, card)
				continue next
			}
		}
		text, err := cmd.ReadFile(name, 1<<20)
		if errors.Is(err, fs.ErrNotExist) {
			ids := make([]string, len(builtin))
			for i, card := range builtin {
				ids[i] = card.ID
			}
			return nil, cmd.BadInput("built in are "+strings.Join(ids, ", "), "no card %q, built in or as a file", name)
		} else if err != nil {
			return nil, err
		}
		card, err := pack.ParseCard(text)
		if err != nil {
			return nil, cmd.BadInput("", "card %s: %v", name, err)
		}
		cards = append(cards, card)
	}
	return cards, nil
}

// finish packs, verifies and reports; child is the exit code of the program that ran.
func (j *job) finish(child int) error {
	store := j.home.receipts()
	trace, err := store.Read(j.trace)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(trace.Receipts) == 0 {
		if !j.allowEmpty {
			if child != 0 {
				fmt.Fprintf(j.s.Err, "assay run: the program failed (%d) and recorded nothing; no pack\n", child)
				return cmd.Verdict(child)
			}
			return cmd.BadInput("instrument the program, or pass --allow-empty", "no receipts were recorded under %s", j.trace)
		}
		trace = &capture.Trace{ID: j.trace}
	} else if err != nil {
		return err
	}
	if trace.TornTail > 0 {
		fmt.Fprintf(j.s.Err, "note: an unfinished last line of %d bytes was left out\n", trace.TornTail)
	}
	if err := keepTrace(trace); err != nil {
		return err
	}
	now := time.Now().UTC()
	id := make([]byte, 4)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	built, err := pack.Build(pack.Spec{
		RunID: j.trace, PackID: "pack_" + now.Format("20060102T150405") + "_" + hex.EncodeToString(id),
		Receipts: trace.Receipts, Cards: j.cards, Mode: j.mode, Now: now, Signer: j.key,
	})
	if err != nil {
		return cmd.BadInput("", "%v", err)
	}
	if err := built.WriteDir(j.output); err != nil {
		return err
	}
	result, err := verifyDir(j.output, pack.Options{Cards: j.cards, Now: now, RequireClaims: len(j.cards) > 0})
	if err != nil {
		return err
	}
	return j.report(child, result)
}

// keepTrace leaves a copy of the receipts in the project: ./.assay/receipts/TRACE.jsonl.
func keepTrace(trace *capture.Trace) error {
	if trace.Path == "" {
		return nil
	}
	text, err := os.ReadFile(trace.Path)
	if err != nil {
		return err
	}
	dir := filepath.Join(".assay", "receipts")
	if err := durable.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, trace.ID+".jsonl"), text[:len(text)-trace.TornTail], 0o600)
}

func (j *job) report(child int, r *pack.Result) error {
	code, source := child, "child"
	if child == 0 {
		code, source = r.ExitCode(), "pack"
	}
	if j.json {
		m := packObject(j.output, r)
		m.Members = append([]jcs.Member{
			jcs.M("command", jcs.Str("run")),
			jcs.M("exit_code", jcs.Int(int64(code))),
			jcs.M("exit_code_source", jcs.Str(source)),
			jcs.M("child_exit_code", jcs.Int(int64(child))),
			jcs.M("trace_id", jcs.Str(j.trace)),
		}, m.Members...)
		if err := printJSON(j.s.Out, m); err != nil {
			return err
		}
	} else {
		printResult(j.s.Out, j.output, r)
		fmt.Fprintf(j.s.Err, "next: assay verify-pack %s\n", cmd.Safe(j.output))
	}
	if code == 0 {
		return nil
	}
	return cmd.Verdict(code)
}

// runChild runs the program in a process group of its own and returns its exit code,
// 128 + n if signal n ended it. Signals that reach us are passed on, so that the program can
// finish and its receipts are packed all the same.
func runChild(s cmd.Streams, h home, trace string, args []string, quiet bool) (int, error) {
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), "ASSAY_TRACE_ID="+trace, "ASSAY_HOME="+string(h))
	c.Stdin, c.Stdout, c.Stderr = s.In, s.Out, s.Err
	if quiet {
		c.Stdout = s.Err
	}
	grouped := !isTerminal(s.In) // a background group could not read from the terminal, which signals both of us anyway
	if grouped {
		ownGroup(c)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		code := 126
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			code = 127
		}
		return 0, &cmd.Error{Code: code, Err: err, Hint: "is the command spelled right?"}
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }() // ends with the program
	for {
		select {
		case err := <-done:
			var exited *exec.ExitError
			if err != nil && !errors.As(err, &exited) && !errors.Is(err, io.ErrClosedPipe) {
				return 0, err
			}
			return exitCode(c.ProcessState), nil
		case sig := <-signals:
			passOn(c.Process, sig, grouped)
		}
	}
}

func isTerminal(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
