// Package expect is what a pack is held to, and what else is read to judge it: policy, roots, lock, cards, contract,
// signers, and the pack itself. Each kind of file has one reader, so that the same file ends every command with the
// same exit code. All of it is somebody's word about others: no secret is read here, and no connection opened.
package expect

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// Flags are what verify-pack and explain may be told to expect of a pack.
type Flags struct {
	AnchorFlags
	lock, contract, now                                string
	cards, signers                                     []string
	minCoverage, maxAge                                float64
	requireClaims, requireAnchor, requirePinned        bool
	requireCI, expires, superseded                     bool
	commit, expectedRepo, expectedRef, workflow, ciRun string
	selfWitness, strict                                bool
}

// Add adds the flags to c.
func (f *Flags) Add(c *cobra.Command) {
	f.AnchorFlags.Add(c)
	c.Flags().StringVar(&f.Proof, "proof", "", "tlog-proof `FILE` (default: _unsigned/anchor.tlog-proof in the pack)")
	c.Flags().BoolVar(&f.requireClaims, "require-claim-pass", false, "exit 1 unless the claims pass")
	c.Flags().BoolVar(&f.requireAnchor, "require-anchor", false, "exit 2 unless the pack is proven to be logged under --policy")
	c.Flags().StringSliceVarP(&f.cards, "run-card", "c", nil, "`CARD` file whose claims the pack may have declared (repeat, or a,b, for more)")
	c.Flags().StringVar(&f.lock, "lock", "", "lock `FILE` that the pack must agree with, else exit 2")
	c.Flags().StringSliceVar(&f.signers, "trusted-signer", nil, "`KEY` that may sign, a fingerprint or a public key file (repeat, or a,b, for more); others exit 2")
	c.Flags().BoolVar(&f.requirePinned, "require-pinned", false, "exit 2 unless a lock's allowlist or --trusted-signer names the key that signed")
	c.Flags().BoolVar(&f.strict, "strict", false, "exit 2 unless the signer is pinned and the pack anchored with a time that does not contradict it, exit 1 unless declared claims pass, there is a receipt, and the pack is neither expired nor superseded")
	c.Flags().StringVar(&f.contract, "coverage-contract", "", "coverage contract `FILE` whose call sites the receipts must name, else exit 1")
	c.Flags().Float64Var(&f.minCoverage, "min-coverage", 0.8, "`SHARE` of the contract's call sites, 0 to 1")
	c.Flags().Float64Var(&f.maxAge, "max-age-hours", 0, "exit 2 if the last receipt is older than `HOURS`")
	c.Flags().BoolVar(&f.requireCI, "require-ci-binding", false, "exit 2 unless the pack says which CI run built it")
	c.Flags().StringVar(&f.commit, "expected-commit-sha", "", "exit 2 unless the pack says it was built from `COMMIT` (40 or 64 hex digits)")
	c.Flags().StringVar(&f.expectedRepo, "expected-repo", "", "exit 2 unless the pack says it was built in `REPO`, such as acme/app")
	c.Flags().StringVar(&f.expectedRef, "expected-ref", "", "exit 2 unless the pack says it was built for `REF`, such as refs/heads/main")
	c.Flags().StringVar(&f.workflow, "expected-workflow", "", "exit 2 unless the pack says it was built by `WORKFLOW`, its whole workflow_ref")
	c.Flags().StringVar(&f.ciRun, "expected-run", "", "exit 2 unless the pack says it was built in the run `ID`")
	c.Flags().BoolVar(&f.expires, "check-expiry", false, "exit 1 if the pack says until when it is valid, and that is over")
	c.Flags().BoolVar(&f.superseded, "refuse-superseded", false, "exit 1 if the pack names another one that supersedes it")
	c.Flags().StringVar(&f.now, "now", "", "judge as if it were `TIME` (RFC 3339): same input, same bytes of output")
	c.Flags().BoolVar(&f.selfWitness, "require-witness", false, "not supported")
	_ = c.Flags().MarkHidden("require-witness") // it exists
}

// Options reads everything that is named, once, before any pack is touched: a pack cannot change what
// it is held to. An invalid lock or an altered contract is governance drift, exit 2.
func (f *Flags) Options(c *cobra.Command) (o pack.Options, err error) {
	if err := f.check(c); err != nil {
		return o, err
	}
	if o, err = f.AnchorFlags.Options(); err != nil {
		return o, err
	}
	if f.lock != "" {
		if _, err := os.Stat(f.lock); errors.Is(err, fs.ErrNotExist) {
			// Whoever takes the lock away does not get past it (VFY-89).
			return o, &cli.Error{Code: cli.ExitTampered, Err: fmt.Errorf("no lockfile at %s", f.lock), Hint: "make one with 'assay lock init'"}
		}
		if o.Lock, err = ReadLock(f.lock); err != nil {
			return o, err
		}
	}
	if o.Cards, err = FindCards(f.cards); err != nil {
		return o, err
	}
	if f.contract != "" {
		if o.Contract, err = ReadContract(f.contract); err != nil {
			return o, err
		}
	}
	for _, name := range f.signers {
		key, err := trustedSigner(name)
		if err != nil {
			return o, err
		}
		o.TrustedSigners = o.TrustedSigners.With(key)
	}
	if o.Now = time.Now(); f.now != "" {
		// The zero time would be none, by which nothing is from the future.
		if o.Now, err = time.Parse(time.RFC3339, f.now); err != nil || o.Now.IsZero() {
			return o, cli.BadInput("for example 2026-01-15T10:00:00Z", "--now %q is no RFC 3339 time", f.now)
		}
	}
	o.RequireClaims, o.RequireAnchor, o.RequirePinned = f.requireClaims, f.requireAnchor, f.requirePinned
	o.Strict = f.strict
	o.RequireCI, o.CommitSHA, o.Repo, o.Ref, o.Workflow, o.Run = f.requireCI, f.commit, f.expectedRepo, f.expectedRef, f.workflow, f.ciRun
	o.CheckExpiry, o.RefuseSuperseded = f.expires, f.superseded
	o.MinCoverage, o.MaxAge = f.minCoverage, hoursDuration(f.maxAge)
	return o, nil
}

func (f *Flags) check(c *cobra.Command) error {
	given := c.Flags().Changed
	switch {
	case f.selfWitness:
		return cli.BadInput("--require-anchor with --policy and --tsa-roots checks what others vouch for", "--require-witness would believe an authority that the pack itself brings")
	case f.requireAnchor && f.Policy == "":
		return cli.BadInput("name the logs and witnesses you trust with --policy FILE", "--require-anchor needs a policy")
	case f.strict && (f.Policy == "" || f.roots == "" || f.timestamp == "optional"):
		return cli.BadInput("name whom you trust with --policy FILE and --tsa-roots FILE", "--strict needs a policy and the roots of a time that is not optional")
	case f.strict && f.lock == "" && len(f.signers) == 0:
		return cli.BadInput("name the key that may sign with --trusted-signer, or a lock with --lock", "--strict needs somebody who may sign")
	case !(f.minCoverage >= 0 && f.minCoverage <= 1): // also of a NaN
		return cli.BadInput("", "--min-coverage %v is not between 0 and 1", f.minCoverage)
	case given("min-coverage") && f.contract == "":
		return cli.BadInput("name the contract with --coverage-contract FILE", "--min-coverage says nothing without a contract")
	case given("max-age-hours") && !(f.maxAge > 0 && f.maxAge <= math.MaxFloat64):
		return cli.BadInput("", "--max-age-hours %v is no age", f.maxAge)
	case given("expected-commit-sha") && !isHex(f.commit, 40) && !isHex(f.commit, 64):
		return cli.BadInput("it is what 'git rev-parse HEAD' prints", "--expected-commit-sha %q is not 40 or 64 lowercase hex digits", f.commit)
	}
	return nil
}

// hoursDuration never becomes 0, which would be no limit, and never overflows into the past.
func hoursDuration(h float64) time.Duration {
	if h == 0 {
		return 0
	}
	d := h * float64(time.Hour)
	if d >= math.MaxInt64 {
		return math.MaxInt64
	}
	return max(1, time.Duration(d))
}

func isHex(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}

// MayWrite refuses a file named by one of the flags that is in a pack, or one that the judgement rests on, or
// another's.
func (f *Flags) MayWrite(c *cobra.Command, dirs []string, flags ...string) error {
	written := map[string]string{}
	for _, flag := range flags {
		path := c.Flags().Lookup(flag).Value.String()
		if path == "" {
			continue
		}
		parent, err := cli.FolderOf(path)
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if cli.Within(dir, parent) {
				return cli.BadInput("write it elsewhere", "--%s %s is inside the pack", flag, path)
			}
		}
		for _, input := range slices.Concat([]string{f.lock, f.contract, f.Policy, f.roots, f.Proof}, f.cards, f.signers) {
			if cli.SameFile(input, path) {
				return cli.BadInput("write it elsewhere", "--%s %s is what the pack is held to", flag, path)
			}
		}
		whole := filepath.Join(parent, filepath.Base(path))
		if other, ok := written[whole]; ok {
			return cli.BadInput("", "--%s and --%s name one file", other, flag)
		}
		written[whole] = flag
	}
	return nil
}

// Report is a judgement as it is shown, with what was asked for.
func (f *Flags) Report(dir string, r *pack.Result, o pack.Options) *report.Report {
	shown := report.New(dir, r)
	shown.Lock, shown.MaxAgeHours, shown.MinCoverage = o.Lock, f.maxAge, f.minCoverage
	return shown
}
