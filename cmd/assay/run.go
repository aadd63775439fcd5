package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// packing is what run and proof-pack have in common: from a trace to a verified pack.
type packing struct {
	cards            []string
	output, mode     string
	allowEmpty, json bool
	noGenerate       bool
}

func (p *packing) flags(c *cobra.Command) {
	c.Flags().StringArrayVarP(&p.cards, "run-card", "c", nil, "built-in `CARD` or card file to evaluate (repeat for more)")
	c.Flags().StringVarP(&p.output, "output", "o", "", "pack `DIR` to make (default: proof_pack_TRACE)")
	c.Flags().StringVarP(&p.mode, "mode", "m", "shadow", "`MODE`: shadow, enforced or breakglass; recorded in the pack")
	c.Flags().BoolVar(&p.allowEmpty, "allow-empty", false, "make a pack even if nothing was recorded")
	c.Flags().BoolVar(&p.noGenerate, "no-generate-key", false, "fail if there is no signing key, instead of making one")
	c.Flags().BoolVar(&p.json, "json", false, "one JSON object on stdout; under run the program's own output goes to stderr")
}

func runCmd(s cmd.Streams) *cobra.Command {
	var p packing
	c := &cobra.Command{
		Use:   "run [flags] -- CMD [ARG...]",
		Short: "Run a program, pack the receipts it emits, verify the pack",
		Long: `run starts CMD with ASSAY_TRACE_ID set, packs and signs every receipt emitted under that id,
and verifies the pack. It exits with the program's own code if that is not 0 (128 + the signal
if a signal ended it, 126 or 127 if it could not be started), else 2 if the pack does not verify, else 1 if a declared check fails.
Signals that reach assay are passed on; the pack is made when CMD has ended. The receipts are
also left in ./.assay/receipts. Nothing of the command line or the environment is recorded.`,
		Example: `  assay run -c receipt_completeness -- python agent.py
  assay run -c guardian_enforcement -o ./evidence -- ./agent --task invoices`,
		Args: cmd.Args(cobra.MinimumNArgs(1), "a command after --"),
		RunE: func(_ *cobra.Command, args []string) error {
			trace, err := capture.NewTraceID(time.Now(), rand.Reader)
			if err != nil {
				return err
			}
			// Everything that can be wrong is found before the program runs.
			job, err := p.prepare(s, "run", trace)
			if err != nil {
				return err
			}
			signals, stop := catchSignals()
			defer stop()
			child, err := runChild(s, job, args, signals)
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
		Use:   "proof-pack TRACE",
		Short: "Pack the receipts of an earlier run",
		Long: `proof-pack packs, signs and verifies what the store holds of a run: the receipts of an 'assay run'
that could make no pack, or those that 'assay emit --trace TRACE' recorded. TRACE is also the
name of a file in ./.assay/receipts, without .jsonl.`,
		Example: "  assay proof-pack trace_20260115T100000_5f2c9a01 -c receipt_completeness",
		Args:    cmd.Args(cobra.ExactArgs(1), "one trace id"),
		RunE: func(_ *cobra.Command, args []string) error {
			job, err := p.prepare(s, "proof-pack", args[0])
			if err != nil {
				return err
			}
			_, stop := catchSignals()
			defer stop()
			return job.finish(0)
		},
	}
	p.flags(c)
	return c
}

// job is a packing whose inputs were all found good.
type job struct {
	packing
	s       cmd.Streams
	command string
	home    home
	trace   string
	cards   []pack.Card
	key     pack.Signer
}

func (p packing) prepare(s cmd.Streams, command, trace string) (*job, error) {
	if !slices.Contains([]string{"shadow", "enforced", "breakglass"}, p.mode) {
		return nil, cmd.BadInput("", "mode %q is not shadow, enforced or breakglass", p.mode)
	}
	if p.output == "" {
		p.output = "proof_pack_" + filepath.Base(trace) // an id that is none is found later, and says so itself
	}
	if _, err := os.Lstat(p.output); err == nil {
		return nil, cmd.BadInput("name another with --output", "%s exists", p.output)
	}
	if err := writable(filepath.Dir(filepath.Clean(p.output))); err != nil {
		return nil, cmd.BadInput("name another with --output", "no pack can be made at %s: %w", p.output, err)
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
	if err := writable(string(h)); err != nil {
		return nil, cmd.BadInput("receipts live there: set ASSAY_HOME=/some/directory", "no receipts can be stored: %w", err)
	}
	return &job{packing: p, s: s, command: command, home: h, trace: trace, cards: cards, key: key}, nil
}

// writable tries it: what the modes say is not all.
func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".assay_tmp_*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// finish packs, verifies and reports; child is the exit code of the program that ran. If that is not
// 0 it wins, whatever goes wrong here.
func (j *job) finish(child int) error {
	err := j.packAndReport(child)
	var done cmd.Verdict
	if err == nil || child == 0 || errors.As(err, &done) {
		return err
	}
	hint := ""
	if told := new(cmd.Error); errors.As(err, &told) {
		hint = told.Hint
	}
	return &cmd.Error{Code: child, Err: fmt.Errorf("the program failed (%d), and %w", child, err), Hint: hint}
}

func (j *job) packAndReport(child int) error {
	trace, err := j.home.receipts().Read(j.trace)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(trace.Receipts) == 0 {
		if !j.allowEmpty {
			hint := "the program records with: assay emit TYPE --data JSON; --allow-empty makes a pack all the same"
			if j.command == "proof-pack" {
				hint = "is that the id, and is this the ASSAY_HOME, of the run?"
			}
			return cmd.BadInput(hint, "no receipts were recorded under %s", j.trace)
		}
		trace = &capture.Trace{ID: j.trace}
	} else if err != nil {
		return err
	}
	if trace.TornTail > 0 {
		fmt.Fprintf(j.s.Err, "note: an unfinished last line of %d bytes was left out\n", trace.TornTail)
	}
	if err := keepTrace(trace); err != nil { // a convenience: the pack has the same receipts
		fmt.Fprintf(j.s.Err, "note: no copy of the receipts was left here: %s\n", cmd.Safe(err.Error()))
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
		return cmd.BadInput("", "%w", err)
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
	text, err := cmd.ReadFile(trace.Path, 512<<20)
	if err != nil {
		return err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1] // what a grandchild is writing just now is no line yet
	dir := filepath.Join(".assay", "receipts")
	// The project may be somebody else's: its .assay must not lead our receipts out of it.
	for _, d := range []string{".assay", dir} {
		if info, err := os.Lstat(d); err == nil && !info.IsDir() {
			return fmt.Errorf("%s is not a directory", d)
		}
	}
	if err := durable.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, trace.ID+".jsonl"), text, 0o600)
}

func (j *job) report(child int, r *pack.Result) error {
	code, source := child, "child"
	if child == 0 {
		code, source = r.ExitCode(), "pack"
	}
	if j.json {
		m := packObject(j.output, r)
		m.Members = append([]jcs.Member{
			jcs.M("command", jcs.Str(j.command)),
			jcs.M("exit_code", jcs.Int(int64(code))),
			jcs.M("exit_code_source", jcs.Str(source)),
			jcs.M("child_exit_code", jcs.Int(int64(child))),
			jcs.M("trace_id", jcs.Str(j.trace)),
		}, m.Members...)
		if err := printJSON(j.s.Out, m); err != nil {
			return err
		}
	} else {
		if err := printResult(j.s.Out, j.output, r); err != nil {
			return err
		}
		if child != 0 {
			fmt.Fprintf(j.s.Err, "the program failed: exit code %d is its own\n", child)
		}
		fmt.Fprintf(j.s.Err, "next: assay verify-pack %s\n", cmd.Safe(j.output))
	}
	return verdict(code)
}

// catchSignals keeps signals from ending us until stop is called: not while the program runs, to
// which they are passed on, and not while its pack is made.
func catchSignals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	return c, func() { signal.Stop(c) }
}

// runChild runs the program in a process group of its own and returns its exit code,
// 128 + n if signal n ended it. Signals that reach us are passed on, so that the program can
// finish and its receipts are packed all the same; how long it takes is between it and the sender.
func runChild(s cmd.Streams, j *job, args []string, signals <-chan os.Signal) (int, error) {
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), "ASSAY_TRACE_ID="+j.trace, "ASSAY_HOME="+string(j.home))
	c.Stdin, c.Stdout, c.Stderr = s.In, s.Out, s.Err
	if j.json {
		c.Stdout = s.Err
	}
	// A group in the background could not read from the terminal, which signals both of us anyway.
	grouped := !onTerminal(s.In)
	if grouped {
		ownGroup(c)
	}
	if err := c.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return 0, &cmd.Error{Code: 127, Err: err, Hint: "is the command spelled right?"}
		}
		return 0, &cmd.Error{Code: 126, Err: err, Hint: "is it a program, and may you execute it?"}
	}
	done := make(chan error, 1)
	go func() { // ends with the program
		defer func() {
			if r := recover(); r != nil {
				done <- &cmd.Error{Code: cmd.ExitInternal, Err: fmt.Errorf("internal error: %v", r)}
			}
		}()
		done <- c.Wait()
	}()
	for {
		select {
		case err := <-done:
			if c.ProcessState == nil {
				return 0, err
			}
			return exitCode(c.ProcessState), nil // whatever else Wait says is about its streams
		case sig := <-signals:
			passOn(c.Process, sig, grouped)
		}
	}
}
