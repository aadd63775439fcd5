package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// packing is what run and proof-pack have in common: from a trace to a verified pack.
type packing struct {
	cards                     []string
	output, mode, reason      string
	validUntil, supersededBy  string
	suiteID, ci, signer       string
	compatFloor               bool
	allowEmpty, json          bool
	noGenerate, deterministic bool
	now                       string // of proof-pack --deterministic
	exitPolicy                string // of run
}

func (p *packing) flags(c *cobra.Command) {
	c.Flags().StringSliceVarP(&p.cards, "run-card", "c", nil, "built-in `CARD` or card file to evaluate (repeat, or a,b, for more)")
	c.Flags().StringVarP(&p.output, "output", "o", "", "pack `DIR` to make (default: proof_pack_TRACE)")
	c.Flags().StringVarP(&p.mode, "mode", "m", "", "`MODE` to record: shadow, enforced or breakglass (default: ASSAY_MODE, else shadow)")
	c.Flags().StringVar(&p.reason, "reason", "", "`TEXT` of the "+pack.BreakglassType+" receipt that --mode breakglass records")
	c.Flags().StringVar(&p.validUntil, "valid-until", "", "`TIME` (RFC 3339), or how long from now (90d, 2160h), that the pack is valid")
	c.Flags().StringVar(&p.supersededBy, "superseded-by", "", "`PACK_ID` of the pack that takes this one's place")
	c.Flags().StringVar(&p.suiteID, "suite-id", "", "`ID` of the suite that ran (default: manual)")
	c.Flags().StringVar(&p.ci, "ci", "auto", "bind the pack to a CI run: `SYSTEM` is auto, off, "+strings.Join(capture.CISystems(), ", "))
	c.Flags().BoolVar(&p.compatFloor, "compat-floor", false, "make a pack that verifiers from before 1.19 accept: no CI binding, no --valid-until, no --superseded-by")
	c.Flags().BoolVar(&p.allowEmpty, "allow-empty", false, "make a pack even if nothing was recorded")
	c.Flags().StringVar(&p.signer, "signer", "", "`ID` of the key that signs (default: the active one, or what the environment gives)")
	c.Flags().BoolVar(&p.noGenerate, "no-generate-key", false, "fail if there is no signing key, instead of making one")
	c.Flags().BoolVar(&p.json, "json", false, "one JSON object on stdout; under run the program's own output goes to stderr")
}

func proofPackCmd(s cmd.Streams) *cobra.Command {
	p := packing{exitPolicy: "merged"}
	c := &cobra.Command{
		Use:   "proof-pack TRACE",
		Short: "Pack the receipts of an earlier run",
		Long: `proof-pack packs, signs and verifies what the store holds of a run: the receipts of an 'assay run'
that could make no pack, or those that 'assay emit --trace TRACE' recorded. TRACE is also the
name of a file in ./.assay/receipts, without .jsonl.

--deterministic makes the same bytes of the same receipts, key and flags: the time of the build
is that of --now or SOURCE_DATE_EPOCH, the pack id is made of what the pack holds, and there is no
CI binding unless --ci asks for one.`,
		Example: `  assay proof-pack trace_20260115T100000_5f2c9a01 -c receipt_completeness
  assay proof-pack nightly-7 --deterministic --now 2026-01-15T12:00:00Z --valid-until 90d`,
		Args: cmd.Args(cobra.ExactArgs(1), "one trace id"),
		RunE: func(c *cobra.Command, args []string) error {
			job, err := p.prepare(s, c, args[0])
			if err != nil {
				return err
			}
			_, stop := catchSignals()
			defer stop()
			if err := job.breakglass(); err != nil {
				return err
			}
			return job.finish(0)
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&p.deterministic, "deterministic", false, "same receipts and key, same bytes; wants --now or SOURCE_DATE_EPOCH")
	c.Flags().StringVar(&p.now, "now", "", "the `TIME` (RFC 3339) of a --deterministic build")
	return c
}

// run runs the program, and packs.
func (j *job) run(how child, args []string) error {
	if _, err := exec.LookPath(args[0]); err != nil { // before anything is recorded of it
		return startError(err)
	}
	stdout := j.s.Out
	if j.json {
		stdout = j.s.Err
	}
	if how.output != "" {
		f, err := openChildOutput(how.output)
		if err != nil {
			return err
		}
		defer f.Close()
		stdout = f
	}
	signals, stop := catchSignals()
	defer stop()
	if err := j.breakglass(); err != nil {
		return err
	}
	began := time.Now()
	end, err := runChild(j, stdout, args, signals)
	if err != nil {
		return err
	}
	if !how.noSession {
		if err := j.session(args, began, end); err != nil {
			return j.afterChild(end.code, j.packLater(err))
		}
	}
	return j.finish(end.code)
}

// job is a packing whose inputs were all found good.
type job struct {
	packing
	s       cmd.Streams
	command *cobra.Command
	home    home.Home
	trace   string
	began   time.Time
	built   bool      // the pack is there
	own     bool      // we recorded why the glass was broken, which is about the run
	spec    pack.Spec // without the receipts, and unless it is deterministic without the time and the id
}

func (p packing) prepare(s cmd.Streams, c *cobra.Command, trace string) (*job, error) {
	j := &job{packing: p, s: s, command: c, trace: trace, began: time.Now()}
	for _, step := range []func() error{j.checkMode, j.checkTimes, j.checkCI, j.checkOutput, j.findInputs} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// session records the run itself. The arguments may hold secrets: of them there is a digest only.
func (j *job) session(args []string, began time.Time, end ending) error {
	argv := sha256.New()
	for _, arg := range args {
		io.WriteString(argv, arg+"\x00")
	}
	ended := time.Now()
	data := jcs.Obj(
		jcs.M("recorded_by", jcs.Str(pack.Recorder)),
		jcs.M("argv_sha256", jcs.Str(fmt.Sprintf("sha256:%x", argv.Sum(nil)))),
		jcs.M("started_at", jcs.Str(began.UTC().Format(pack.TimeForm))),
		jcs.M("ended_at", jcs.Str(ended.UTC().Format(pack.TimeForm))),
		jcs.M("duration_ms", jcs.Int(ended.Sub(began).Milliseconds())),
		jcs.M("child_exit_code", jcs.Int(int64(end.code))),
	)
	if end.signal != "" {
		data.Members = append(data.Members, jcs.M("child_signal", jcs.Str(end.signal)))
	}
	if len(end.passedOn) > 0 {
		list := jcs.Arr()
		for _, name := range end.passedOn {
			list.Items = append(list.Items, jcs.Str(name))
		}
		data.Members = append(data.Members, jcs.M("signals_passed_on", list))
	}
	if _, err := j.home.Receipts().Emit(j.trace, pack.SessionType, data); err != nil {
		return fmt.Errorf("recording the session: %w", home.StoreError(j.home, err))
	}
	return nil
}

func (j *job) checkMode() error {
	source := "--mode"
	if j.mode == "" {
		j.mode, source = j.s.Env("ASSAY_MODE"), "ASSAY_MODE"
	}
	if j.mode == "" {
		j.mode = "shadow"
	}
	switch {
	case !slices.Contains([]string{"shadow", "enforced", "breakglass"}, j.mode):
		return cmd.BadInput("", "%s %q is not shadow, enforced or breakglass", source, j.mode)
	case j.reason != "" && j.mode != "breakglass":
		return cmd.BadInput("", "--reason is for --mode breakglass, and the mode is %s", j.mode)
	case j.mode == "breakglass" && strings.TrimSpace(j.reason) == "" && j.command.Name() == "run":
		return cmd.BadInput("say why with --reason TEXT: it is recorded", "--mode breakglass wants a --reason")
	case j.exitPolicy != "merged" && j.exitPolicy != "child":
		return cmd.BadInput("", "--exit-policy %q is not merged or child", j.exitPolicy)
	}
	return nil
}

// checkTimes reads --now and --valid-until, and what else --compat-floor has no room for.
func (j *job) checkTimes() error {
	if err := j.checkNow(); err != nil {
		return err
	}
	for _, text := range []struct{ flag, value string }{{"--suite-id", j.suiteID}, {"--superseded-by", j.supersededBy}} {
		if len(text.value) > 256 || strings.IndexFunc(text.value, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			return cmd.BadInput("", "%s is not at most 256 printable ASCII characters", text.flag)
		}
	}
	if _, err := j.end(j.buildTime()); err != nil {
		return err
	}
	for _, newer := range []struct{ flag, value string }{{"--valid-until", j.validUntil}, {"--superseded-by", j.supersededBy}} {
		if j.compatFloor && newer.value != "" {
			return cmd.BadInput("", "--compat-floor goes with no %s: verifiers from before 1.19 refuse it", newer.flag)
		}
	}
	j.spec.Mode, j.spec.SuiteID, j.spec.SupersededBy, j.spec.OldShape = j.mode, j.suiteID, j.supersededBy, j.compatFloor
	return nil
}

func (j *job) checkNow() error {
	epoch := j.s.Env("SOURCE_DATE_EPOCH")
	switch {
	case !j.deterministic && j.now != "":
		return cmd.BadInput("add --deterministic", "--now is the time of a --deterministic build")
	case !j.deterministic:
		return nil
	case j.now != "":
		t, err := time.Parse(time.RFC3339, j.now)
		if err != nil || t.Year() < 1 {
			return cmd.BadInput("such as --now 2026-01-15T12:00:00Z", "--now %q is not an RFC 3339 time", j.now)
		}
		j.spec.Now = t.UTC()
	case epoch != "":
		seconds, err := strconv.ParseUint(epoch, 10, 37) // beyond the year 9999 nothing is a time
		if err != nil || seconds > 253402300799 {
			return cmd.BadInput("", "SOURCE_DATE_EPOCH %q is not a number of seconds", epoch)
		}
		j.spec.Now = time.Unix(int64(seconds), 0).UTC()
	default:
		return cmd.BadInput("such as --now 2026-01-15T12:00:00Z", "--deterministic wants --now or SOURCE_DATE_EPOCH")
	}
	return nil
}

// buildTime is the time of the build: now, unless it is deterministic.
func (j *job) buildTime() time.Time {
	if j.deterministic {
		return j.spec.Now
	}
	return time.Now().UTC()
}

// end is valid_until as a pack has it: --valid-until is a time, or a span from the time of the build.
func (j *job) end(now time.Time) (string, error) {
	const hint = "such as 2026-12-31T00:00:00Z, 90d or 2160h"
	if j.validUntil == "" {
		return "", nil
	}
	end, err := time.Parse(time.RFC3339, j.validUntil)
	if err != nil {
		span, ok := parseSpan(j.validUntil)
		if !ok {
			return "", cmd.BadInput(hint, "--valid-until %q is neither an RFC 3339 time nor a span", j.validUntil)
		}
		end = now.Add(span)
	}
	end = end.UTC()
	if !end.After(now) || end.Year() > 9999 {
		return "", cmd.BadInput(hint, "--valid-until %q is not after the time of the build, %s", j.validUntil, now.Format(time.RFC3339))
	}
	return end.Format(pack.TimeForm), nil
}

// parseSpan reads a Go duration, or days.
func parseSpan(text string) (time.Duration, bool) {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		days, err := strconv.ParseUint(number, 10, 16)
		return time.Duration(days) * 24 * time.Hour, err == nil && days <= 100*366
	}
	span, err := time.ParseDuration(text)
	return span, err == nil
}

func (j *job) checkCI() error {
	system := j.ci
	if j.deterministic && !j.command.Flags().Changed("ci") {
		system = "off"
	}
	binding, notes, err := capture.ReadCI(system, j.s.Env)
	if err != nil {
		return cmd.BadInput("", "--ci %s: %w", system, err)
	}
	if j.compatFloor && binding != nil {
		return cmd.BadInput("--ci off leaves it out", "--compat-floor goes with no CI binding (%s, commit %s): verifiers from before 1.19 refuse it", binding.Provider, binding.CommitSHA)
	}
	for _, note := range notes {
		fmt.Fprintf(j.s.Err, "note: %s\n", cmd.Safe(note))
	}
	j.spec.CIBinding = binding
	return nil
}

func (j *job) checkOutput() error {
	if j.output == "" {
		j.output = "proof_pack_" + filepath.Base(j.trace) // an id that is none is found later, and says so itself
	}
	if _, err := os.Lstat(j.output); err == nil {
		return cmd.BadInput("name another with --output", "%s exists", j.output)
	}
	if err := cmd.Writable(filepath.Dir(filepath.Clean(j.output))); err != nil {
		return cmd.BadInput("name another with --output", "no pack can be made at %s: %w", j.output, err)
	}
	return nil
}

// findInputs finds the cards, the home and the key, and tries whether receipts can be stored.
func (j *job) findInputs() (err error) {
	if j.spec.Cards, err = expect.FindCards(j.cards); err != nil {
		return err
	}
	for _, card := range j.spec.Cards {
		// No pack holds a contract and no card reads a file: such a claim would be signed as failed, wherever the file is.
		if slices.ContainsFunc(card.Claims, func(c pack.Claim) bool { return c.Check == "coverage_contract" }) {
			return cmd.BadInput("give the contract to whoever verifies: 'assay verify-pack PACK --coverage-contract FILE'",
				"card %s asks for coverage_contract, which cannot be judged when a pack is built", card.Label())
		}
	}
	if j.home, err = home.Open(j.s); err != nil {
		return err
	}
	if j.spec.Signer, err = home.SigningKey(j.s, j.home, j.signer, !j.noGenerate); err != nil {
		return err
	}
	// A key from the environment has not made it.
	if err := durable.Mkdir(string(j.home), 0o700); err != nil {
		return home.StoreError(j.home, err)
	}
	if err := capture.KeepFromGit(string(j.home)); err != nil {
		return home.StoreError(j.home, err)
	}
	if err := cmd.Writable(string(j.home)); err != nil {
		return cmd.BadInput("receipts live there: set ASSAY_HOME=/some/directory", "no receipts can be stored: %w", err)
	}
	return nil
}

// breakglass records why the glass was broken, if it was. proof-pack may find it recorded already.
func (j *job) breakglass() error {
	if j.mode != "breakglass" {
		return nil
	}
	if strings.TrimSpace(j.reason) == "" {
		found, err := j.hasBreakglass()
		if err != nil || found {
			return err
		}
		return cmd.BadInput("say why with --reason TEXT: it is recorded", "--mode breakglass wants a --reason: %s has no %s receipt", j.trace, pack.BreakglassType)
	}
	// It is about the run, as the session receipt is: that the glass was broken is no evidence of what the program did.
	_, err := j.home.Receipts().Emit(j.trace, pack.BreakglassType, jcs.Obj(jcs.M("recorded_by", jcs.Str(pack.Recorder)), jcs.M("reason", jcs.Str(j.reason))))
	if err != nil {
		return fmt.Errorf("recording the reason: %w", home.StoreError(j.home, err))
	}
	j.own = true
	return nil
}

func (j *job) hasBreakglass() (bool, error) {
	trace, err := j.home.Receipts().Open(j.trace)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	defer trace.Close()
	for receipt, err := range trace.All() {
		if err != nil {
			return false, err
		}
		if typ, _ := receipt.Get("type"); typ.Text == "breakglass" || typ.Text == pack.BreakglassType {
			return true, nil
		}
	}
	return false, nil
}

// finish packs, verifies and reports; child is the exit code of the program that ran.
func (j *job) finish(child int) error {
	return j.afterChild(child, j.packLater(j.packAndReport(child)))
}

// packLater tells how to pack the receipts that err left without a pack, or where the pack is if only the telling
// of it failed, and returns err.
func (j *job) packLater(err error) error {
	var done cmd.Verdict
	switch {
	case err == nil, errors.As(err, &done), !j.built && !mayWorkLater(err):
		return err
	case j.built:
		fmt.Fprintf(j.s.Err, "note: the pack was made: %s\n", cmd.Safe(j.output))
		return err
	}
	again := "assay proof-pack " + j.trace
	for _, card := range j.cards {
		again += " -c " + cmd.ShellWord(card)
	}
	fmt.Fprintf(j.s.Err, "note: what was recorded is under %s: '%s' packs it\n", cmd.Safe(j.trace), cmd.Safe(again))
	return err
}

// mayWorkLater: what the file system or a helper refused now. Receipts and cards of which no pack can be made are
// the same tomorrow.
func mayWorkLater(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link) || errors.Is(err, fs.ErrExist) ||
		errors.Is(err, keystore.ErrHelper) || cmd.StorageRefused(err)
}

// afterChild gives an error the program's exit code: if that is not 0 it wins, whatever goes wrong here.
func (j *job) afterChild(child int, err error) error {
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
	trace, err := j.home.Receipts().Open(j.trace)
	if errors.Is(err, fs.ErrNotExist) {
		trace, err = nil, nil
	}
	if err != nil {
		return err
	}
	evidence := false
	if trace != nil {
		defer trace.Close()
		if evidence, err = hasEvidence(trace); err != nil {
			return err
		}
		j.spec.Stream = trace.All()
	}
	if !evidence && j.mode != "breakglass" && !j.allowEmpty { // that the glass was broken is packed whatever the program did
		return j.nothing(child, trace)
	}
	if trace != nil {
		if err := keepTrace(j.home, trace); err != nil { // a convenience: the pack has the same receipts
			fmt.Fprintf(j.s.Err, "note: no copy of the receipts was left here: %s\n", cmd.Safe(err.Error()))
		}
	}
	result, err := j.build()
	if err != nil {
		return err
	}
	if trace != nil {
		noteLosses(j.s, trace)
		j.noteLate(trace, result)
	}
	if j.command.Name() == "run" && j.own && result.Evidence() == 0 {
		fmt.Fprintf(j.s.Err, "note: the program itself recorded nothing\n")
		for _, fix := range j.diagnose(child, trace) {
			fmt.Fprintf(j.s.Err, "hint: %s\n", cmd.Safe(fix))
		}
	}
	return j.report(child, trace, result)
}

// hasEvidence looks for the first receipt that is not about the run itself.
func hasEvidence(trace *capture.Trace) (bool, error) {
	for receipt, err := range trace.All() {
		if err != nil {
			return false, err
		}
		if !pack.AboutRun(receipt) {
			return true, nil
		}
	}
	return false, nil
}

// noteLate tells of receipts that came after an earlier pack of the trace, and of those that came while this one
// was made; and leaves word, so that a program that emits after this is told.
func (j *job) noteLate(trace *capture.Trace, r *pack.Result) {
	note := func(format string, args ...any) {
		fmt.Fprintf(j.s.Err, "note: %s\n", cmd.Safe(fmt.Sprintf(format, args...)))
	}
	switch earlier, err := trace.Packed(); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		note("whether a pack was made of this run before cannot be told: %v", err)
	case trace.Size > earlier.Bytes:
		note("%s was made of this run before, and is without the receipts that came after it", earlier.PackID)
	}
	if err := trace.MarkPacked(r.Manifest.PackID); err != nil {
		note("who emits to this run from now on is not told that it is packed: %v", err)
	}
	if info, err := os.Stat(trace.Path); err == nil && info.Size() > trace.Size+trace.TornTail {
		note("receipts came while the pack was made, and are not in it: 'assay proof-pack %s' makes one with them", trace.ID)
	}
}

// build makes the pack. The result is that of its own verification, of what is on the disk.
func (j *job) build() (result *pack.Result, err error) {
	spec := j.spec
	spec.RunID, spec.Now = j.trace, j.buildTime()
	if spec.ValidUntil, err = j.end(spec.Now); err != nil {
		return nil, err
	}
	if !j.deterministic {
		id := make([]byte, 4)
		if _, err := rand.Read(id); err != nil {
			return nil, err
		}
		spec.PackID = "pack_" + spec.Now.Format("20060102T150405") + "_" + hex.EncodeToString(id)
	}
	if result, err = pack.BuildDir(j.output, spec); err != nil {
		return nil, buildError(err)
	}
	j.built = true
	return result, nil
}

// noteLosses says what of a trace is not in its pack.
func noteLosses(s cmd.Streams, trace *capture.Trace) {
	if trace.TornTail > 0 {
		fmt.Fprintf(s.Err, "note: an unfinished last line of %d bytes was left out\n", trace.TornTail)
	}
	if n := trace.Torn - int(min(1, trace.TornTail)); n > 0 {
		fmt.Fprintf(s.Err, "note: %s set aside earlier left out\n", report.Count(n, "unfinished line"))
	}
	if trace.NumBad > 0 {
		fmt.Fprintf(s.Err, "note: %s of %s left out, as no receipts: %s\n", report.Count(trace.NumBad, "line"), cmd.Safe(trace.Path), cmd.Safe(trace.Bad[0].String()))
	}
}

// nothing reports that there is nothing to pack, and every cause of it that can be seen from here.
func (j *job) nothing(child int, trace *capture.Trace) error {
	code, source := child, "child"
	if child == 0 {
		code, source = cmd.ExitBadInput, "pack"
	}
	text := "no receipts were recorded under " + j.trace
	if child != 0 {
		text = fmt.Sprintf("the program failed (%d), and %s", child, text)
	}
	fixes := j.diagnose(child, trace)
	fmt.Fprintf(j.s.Err, "%s: %s\n", j.command.CommandPath(), cmd.Safe(text))
	list := jcs.Arr()
	for _, fix := range fixes {
		fmt.Fprintf(j.s.Err, "hint: %s\n", cmd.Safe(fix))
		list.Items = append(list.Items, jcs.Loose(fix))
	}
	var err error
	if j.json {
		err = cmd.PrintJSON(j.s.Out, cmd.Answer(j.command.Name(), "error", code,
			jcs.M("exit_code_source", jcs.Str(source)),
			jcs.M("child_exit_code", jcs.Int(int64(child))),
			jcs.M("trace_id", jcs.Loose(j.trace)),
			jcs.M("error", jcs.Loose(text)),
			jcs.M("fixes", list),
		))
	}
	return cmd.Judged(code, err)
}

func (j *job) diagnose(child int, trace *capture.Trace) (fixes []string) {
	add := func(format string, args ...any) { fixes = append(fixes, fmt.Sprintf(format, args...)) }
	if trace != nil && trace.Torn > 0 {
		add("it was killed while it recorded its first receipt: %s left", report.Count(trace.Torn, "unfinished line"))
	}
	if trace != nil && trace.NumBad > 0 {
		add("%s has %s, and no receipt: %s", trace.Path, report.Count(trace.NumBad, "line"), trace.Bad[0])
	}
	for _, dir := range []string{".assay", filepath.Join(".loom", "assay")} {
		dir = filepath.Join(j.s.Env("HOME"), dir)
		if dir == string(j.home) || !filepath.IsAbs(dir) {
			continue
		}
		if other, err := (&capture.Store{Dir: dir}).Open(j.trace); err == nil {
			other.Close()
			add("its receipts are in %s: the Python tool does not know ASSAY_HOME; run without it, or 'ASSAY_HOME=%s assay proof-pack %s'", dir, dir, j.trace)
		}
	}
	if j.command.Name() != "run" {
		add("is that the id, and is this the ASSAY_HOME, of the run?")
		if ids := j.home.Receipts().Recent(time.Time{}, 3); len(ids) > 0 {
			add("the latest runs in %s are %s", string(j.home), strings.Join(ids, ", "))
		}
		return fixes
	}
	if child != 0 {
		add("the program ended with %d: its own output may say why", child)
	}
	// The clock of the file system is the coarser one.
	ids := j.home.Receipts().Recent(j.began.Add(-10*time.Millisecond), 4)
	if ids = slices.DeleteFunc(ids, func(id string) bool { return id == j.trace }); len(ids) > 0 {
		add("meanwhile receipts were recorded under %s: does the program keep ASSAY_TRACE_ID?", strings.Join(ids, ", "))
	}
	add("the program records with: assay emit TYPE --data JSON")
	if !j.own {
		add("--allow-empty makes a pack all the same")
	}
	return fixes
}

// keepTrace leaves a copy of the receipts in the project: ./.assay/receipts/TRACE.jsonl. Not in the store:
// the Python tool reads all that is in there, and writes no more once it has seen a number twice.
func keepTrace(h home.Home, trace *capture.Trace) error {
	dir := filepath.Join(".assay", "receipts")
	if here, err := cmd.FolderOf("."); err == nil && cmd.Within(string(h), filepath.Join(here, dir)) {
		return nil
	}
	// The project may be somebody else's: its .assay must not lead our receipts out of it.
	for _, d := range []string{".assay", dir} {
		if info, err := os.Lstat(d); err == nil && !info.IsDir() {
			return fmt.Errorf("%s is not a directory", d)
		}
	}
	if err := durable.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := capture.KeepFromGit(".assay"); err != nil {
		return err
	}
	copied, err := os.CreateTemp(dir, ".assay_tmp_*") // 0600
	if err != nil {
		return err
	}
	_, err = io.Copy(copied, trace.Text())
	if err = errors.Join(err, copied.Close()); err == nil {
		err = os.Rename(copied.Name(), filepath.Join(dir, trace.ID+".jsonl"))
	}
	if err != nil {
		return errors.Join(err, os.Remove(copied.Name()))
	}
	return nil
}

func (j *job) report(child int, trace *capture.Trace, r *pack.Result) error {
	code, source := child, "child"
	if child == 0 && j.exitPolicy == "merged" {
		code, source = r.ExitCode(), "pack"
	}
	var err error
	if j.json {
		err = cmd.PrintJSON(j.s.Out, j.object(code, source, child, trace, r))
	} else {
		out := j.s.Out
		if j.command.Name() == "run" { // whose stdout is the program's
			out = j.s.Err
		}
		err = report.PrintResult(out, j.output, r)
		switch {
		case child != 0:
			fmt.Fprintf(j.s.Err, "the program failed: exit code %d is its own\n", child)
		case source == "child":
			fmt.Fprintf(j.s.Err, "the program ended with 0, and --exit-policy child looks at nothing else\n")
		}
		fmt.Fprintf(j.s.Err, "recorded under %s\n", cmd.Safe(j.trace))
		fmt.Fprintf(j.s.Err, "next: assay verify-pack %s\n", cmd.Safe(j.output))
	}
	return cmd.Judged(code, err)
}

// object is the result for machines: what happened here, then the pack as verify-pack shows it.
func (j *job) object(code int, source string, child int, trace *capture.Trace, r *pack.Result) jcs.Value {
	torn, bad, status, claims := 0, 0, "ok", string(r.Claims)
	if trace != nil {
		torn, bad = trace.Torn, trace.NumBad
	}
	if code != cmd.ExitPass {
		status = "failed"
	}
	if r.Claims == pack.Skipped {
		claims = "N/A" // as packs spell it
	}
	m := cmd.Answer(j.command.Name(), status, code,
		jcs.M("exit_code_source", jcs.Str(source)),
		jcs.M("child_exit_code", jcs.Int(int64(child))),
		jcs.M("trace_id", jcs.Str(j.trace)),
		jcs.M("output_dir", jcs.Loose(j.output)),
		jcs.M("mode", jcs.Str(j.mode)),
		jcs.M("torn_lines", jcs.Int(int64(torn))),
		jcs.M("bad_lines", jcs.Int(int64(bad))),
		jcs.M("receipt_integrity", jcs.Str(string(r.Integrity))),
		jcs.M("claim_check", jcs.Str(claims)),
	)
	for _, member := range report.PackObject(j.output, r).Members {
		if _, ours := m.Get(member.Name); !ours {
			m.Members = append(m.Members, member)
		}
	}
	return m
}
