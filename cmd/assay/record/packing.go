package record

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// packing is what run and proof-pack have in common: from a trace to a verified pack.
type packing struct {
	cards                     []string
	output, reason            string
	mode                      manifest.Mode
	validUntil, supersededBy  string
	suiteID, ci, signer       string
	compatFloor               bool
	allowEmpty, json          bool
	noGenerate, deterministic bool
	now                       string // of proof-pack --deterministic
	exitPolicy                string // of run
}

func (p *packing) add(c *cobra.Command) {
	c.Flags().StringSliceVarP(&p.cards, "run-card", "c", nil, "built-in `CARD` or card file to evaluate (repeat, or a,b, for more)")
	c.Flags().StringVarP(&p.output, "output", "o", "", "pack `DIR` to make (default: proof_pack_TRACE)")
	c.Flags().StringVarP((*string)(&p.mode), "mode", "m", "", "`MODE` to record: shadow, enforced or breakglass (default: ASSAY_MODE, else shadow)")
	c.Flags().StringVar(&p.reason, "reason", "", "`TEXT` of the "+receipt.BreakglassType+" receipt that --mode breakglass records")
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

// job is a packing whose inputs were all found good.
type job struct {
	packing
	s       cli.Streams
	command *cobra.Command
	home    home.Home
	trace   string
	began   time.Time
	built   bool      // the pack is there
	own     bool      // we recorded why the glass was broken, which is about the run
	spec    pack.Spec // without the receipts, and unless it is deterministic without the time and the id
}

func (p packing) prepare(s cli.Streams, c *cobra.Command, trace string) (*job, error) {
	j := &job{packing: p, s: s, command: c, trace: trace, began: time.Now()}
	for _, step := range []func() error{j.checkMode, j.checkTimes, j.checkCI, j.checkOutput, j.findInputs} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func (j *job) checkMode() error {
	source := "--mode"
	if j.mode == "" {
		j.mode, source = manifest.Mode(j.s.Env("ASSAY_MODE")), "ASSAY_MODE"
	}
	if j.mode == "" {
		j.mode = manifest.ModeShadow
	}
	switch {
	case !slices.Contains([]manifest.Mode{manifest.ModeShadow, manifest.ModeEnforced, manifest.ModeBreakglass}, j.mode):
		return cli.BadInput("", "%s %q is not shadow, enforced or breakglass", source, j.mode)
	case j.reason != "" && j.mode != manifest.ModeBreakglass:
		return cli.BadInput("", "--reason is for --mode breakglass, and the mode is %s", j.mode)
	case j.mode == manifest.ModeBreakglass && strings.TrimSpace(j.reason) == "" && j.command.Name() == "run":
		return cli.BadInput("say why with --reason TEXT: it is recorded", "--mode breakglass wants a --reason")
	case j.exitPolicy != "merged" && j.exitPolicy != "child":
		return cli.BadInput("", "--exit-policy %q is not merged or child", j.exitPolicy)
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
			return cli.BadInput("", "%s is not at most 256 printable ASCII characters", text.flag)
		}
	}
	if _, err := j.end(j.buildTime()); err != nil {
		return err
	}
	for _, newer := range []struct{ flag, value string }{{"--valid-until", j.validUntil}, {"--superseded-by", j.supersededBy}} {
		if j.compatFloor && newer.value != "" {
			return cli.BadInput("", "--compat-floor goes with no %s: verifiers from before 1.19 refuse it", newer.flag)
		}
	}
	j.spec.Mode, j.spec.SuiteID, j.spec.SupersededBy, j.spec.OldShape = j.mode, j.suiteID, j.supersededBy, j.compatFloor
	return nil
}

func (j *job) checkNow() error {
	epoch := j.s.Env("SOURCE_DATE_EPOCH")
	switch {
	case !j.deterministic && j.now != "":
		return cli.BadInput("add --deterministic", "--now is the time of a --deterministic build")
	case !j.deterministic:
		return nil
	case j.now != "":
		t, err := time.Parse(time.RFC3339, j.now)
		if err != nil || t.Year() < 1 {
			return cli.BadInput("such as --now 2026-01-15T12:00:00Z", "--now %q is not an RFC 3339 time", j.now)
		}
		j.spec.Now = t.UTC()
	case epoch != "":
		seconds, err := strconv.ParseUint(epoch, 10, 37) // beyond the year 9999 nothing is a time
		if err != nil || seconds > 253402300799 {
			return cli.BadInput("", "SOURCE_DATE_EPOCH %q is not a number of seconds", epoch)
		}
		j.spec.Now = time.Unix(int64(seconds), 0).UTC()
	default:
		return cli.BadInput("such as --now 2026-01-15T12:00:00Z", "--deterministic wants --now or SOURCE_DATE_EPOCH")
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
			return "", cli.BadInput(hint, "--valid-until %q is neither an RFC 3339 time nor a span", j.validUntil)
		}
		end = now.Add(span)
	}
	end = end.UTC()
	if !end.After(now) || end.Year() > 9999 {
		return "", cli.BadInput(hint, "--valid-until %q is not after the time of the build, %s", j.validUntil, now.Format(time.RFC3339))
	}
	return end.Format(receipt.TimeForm), nil
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
		return cli.BadInput("", "--ci %s: %w", system, err)
	}
	if j.compatFloor && binding != nil {
		return cli.BadInput("--ci off leaves it out", "--compat-floor goes with no CI binding (%s, commit %s): verifiers from before 1.19 refuse it", binding.Provider, binding.CommitSHA)
	}
	for _, note := range notes {
		fmt.Fprintf(j.s.Err, "note: %s\n", terminal.Safe(note))
	}
	j.spec.CIBinding = binding
	return nil
}

func (j *job) checkOutput() error {
	if j.output == "" {
		j.output = "proof_pack_" + filepath.Base(j.trace) // an id that is none is found later, and says so itself
	}
	if _, err := os.Lstat(j.output); err == nil {
		return cli.BadInput("name another with --output", "%s exists", j.output)
	}
	if err := cli.Writable(filepath.Dir(filepath.Clean(j.output))); err != nil {
		return cli.BadInput("name another with --output", "no pack can be made at %s: %w", j.output, err)
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
		if slices.ContainsFunc(card.Claims, func(c claim.Claim) bool { return c.Check == "coverage_contract" }) {
			return cli.BadInput("give the contract to whoever verifies: 'assay verify-pack PACK --coverage-contract FILE'",
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
		return j.home.StoreError(err)
	}
	if err := capture.KeepFromGit(string(j.home)); err != nil {
		return j.home.StoreError(err)
	}
	if err := cli.Writable(string(j.home)); err != nil {
		return cli.BadInput("receipts live there: set ASSAY_HOME=/some/directory", "no receipts can be stored: %w", err)
	}
	return nil
}
