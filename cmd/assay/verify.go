package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
	"github.com/Haserjian/assay-ledger/trust"
)

// anchorFlags say whom to believe about a proof.
type anchorFlags struct{ policy, roots, proof string }

func (f *anchorFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.policy, "policy", "", "C2SP tlog-policy `FILE`: the logs, witnesses and quorum you trust")
	c.Flags().StringVar(&f.roots, "tsa-roots", "", "PEM `FILE` with the roots of the timestamp authorities you trust")
}

// options reads the files once, before any pack is touched.
func (f *anchorFlags) options() (o pack.Options, err error) {
	// What is given to be checked is checked, or refused: never passed over.
	for _, given := range []struct{ flag, file string }{{"--proof", f.proof}, {"--tsa-roots", f.roots}} {
		if given.file != "" && f.policy == "" {
			return o, cmd.BadInput("name the logs and witnesses you trust with --policy FILE", "%s says nothing without a policy", given.flag)
		}
	}
	if f.policy != "" {
		text, err := cmd.ReadFile(f.policy, 1<<20)
		if err != nil {
			return o, err
		}
		if o.Policy, err = trust.ParsePolicy(text); err != nil {
			return o, cmd.BadInput("see c2sp.org/tlog-policy", "%s: %v", f.policy, err)
		}
	}
	if f.roots != "" {
		text, err := cmd.ReadFile(f.roots, 1<<20)
		if err != nil {
			return o, err
		}
		o.TSARoots = x509.NewCertPool()
		if !o.TSARoots.AppendCertsFromPEM(text) {
			return o, cmd.BadInput("", "%s holds no certificate", f.roots)
		}
	}
	if f.proof != "" {
		if o.Proof, err = cmd.ReadFile(f.proof, 1<<20); err != nil {
			return o, err
		}
	}
	return o, nil
}

// expectFlags are what verify-pack and explain may be told to expect of a pack.
type expectFlags struct {
	anchorFlags
	lock, contract, commit, now                                     string
	cards, signers                                                  []string
	minCoverage, maxAge                                             float64
	requireClaims, requireAnchor, requireCI, requirePinned, expires bool
	selfWitness                                                     bool
}

func (f *expectFlags) add(c *cobra.Command) {
	f.anchorFlags.add(c)
	c.Flags().StringVar(&f.proof, "proof", "", "tlog-proof `FILE` (default: _unsigned/anchor.tlog-proof in the pack)")
	c.Flags().BoolVar(&f.requireClaims, "require-claim-pass", false, "exit 1 unless the claims pass")
	c.Flags().BoolVar(&f.requireAnchor, "require-anchor", false, "exit 2 unless the pack is proven to be logged under --policy")
	c.Flags().StringArrayVarP(&f.cards, "run-card", "c", nil, "`CARD` file whose claims the pack may have declared (repeat for more)")
	c.Flags().StringVar(&f.lock, "lock", "", "lock `FILE` that the pack must agree with, else exit 2")
	c.Flags().StringArrayVar(&f.signers, "trusted-signer", nil, "`KEY` that may sign, a fingerprint or a public key file (repeat for more); others exit 2")
	c.Flags().BoolVar(&f.requirePinned, "require-pinned", false, "exit 2 unless a lock's allowlist or --trusted-signer names the key that signed")
	c.Flags().StringVar(&f.contract, "coverage-contract", "", "coverage contract `FILE` whose call sites the receipts must name, else exit 1")
	c.Flags().Float64Var(&f.minCoverage, "min-coverage", 0.8, "`SHARE` of the contract's call sites, 0 to 1")
	c.Flags().Float64Var(&f.maxAge, "max-age-hours", 0, "exit 2 if the last receipt is older than `HOURS`")
	c.Flags().BoolVar(&f.requireCI, "require-ci-binding", false, "exit 2 unless the pack says which CI run built it")
	c.Flags().StringVar(&f.commit, "expected-commit-sha", "", "exit 2 unless the pack says it was built from `COMMIT` (40 hex digits)")
	c.Flags().BoolVar(&f.expires, "check-expiry", false, "exit 1 if the pack says until when it is valid, and that is over")
	c.Flags().StringVar(&f.now, "now", "", "judge as if it were `TIME` (RFC 3339): same input, same bytes of output")
	c.Flags().BoolVar(&f.selfWitness, "require-witness", false, "not supported")
	_ = c.Flags().MarkHidden("require-witness") // it exists
}

// options reads everything that is named, once, before any pack is touched: a pack cannot change what
// it is held to. An invalid lock or contract is governance drift, exit 2.
func (f *expectFlags) options(c *cobra.Command) (o pack.Options, err error) {
	if err := f.check(c); err != nil {
		return o, err
	}
	if o, err = f.anchorFlags.options(); err != nil {
		return o, err
	}
	if f.lock != "" {
		if _, err := os.Stat(f.lock); errors.Is(err, fs.ErrNotExist) {
			// pack.md §4.7: "lock file missing | 2": whoever takes the lock away does not get past it.
			return o, &cmd.Error{Code: cmd.ExitTampered, Err: fmt.Errorf("no lockfile at %s", f.lock), Hint: "make one with 'assay lock init'"}
		}
		if o.Lock, err = readLock(f.lock); err != nil {
			return o, err
		}
	}
	if o.Cards, err = findCards(f.cards); err != nil {
		return o, err
	}
	if f.contract != "" {
		text, err := cmd.ReadFile(f.contract, 64<<20)
		if err != nil {
			return o, err
		}
		if o.Contract, err = pack.ParseContract(text); err != nil {
			return o, &cmd.Error{Code: cmd.ExitTampered, Err: fmt.Errorf("%s: %w", f.contract, err)}
		}
	}
	for _, name := range f.signers {
		key, err := trustedSigner(name)
		if err != nil {
			return o, err
		}
		o.TrustedSigners = append(o.TrustedSigners, key)
	}
	if o.Now = time.Now(); f.now != "" {
		// The zero time would be none, by which nothing is from the future.
		if o.Now, err = time.Parse(time.RFC3339, f.now); err != nil || o.Now.IsZero() {
			return o, cmd.BadInput("for example 2026-01-15T10:00:00Z", "--now %q is no RFC 3339 time", f.now)
		}
	}
	o.RequireClaims, o.RequireAnchor, o.RequirePinned = f.requireClaims, f.requireAnchor, f.requirePinned
	o.RequireCI, o.CommitSHA, o.CheckExpiry = f.requireCI, f.commit, f.expires
	o.MinCoverage, o.MaxAge = f.minCoverage, hours(f.maxAge)
	return o, nil
}

func (f *expectFlags) check(c *cobra.Command) error {
	given := c.Flags().Changed
	switch {
	case f.selfWitness:
		return cmd.BadInput("--require-anchor with --policy and --tsa-roots checks what others vouch for", "--require-witness would believe an authority that the pack itself brings")
	case f.requireAnchor && f.policy == "":
		return cmd.BadInput("name the logs and witnesses you trust with --policy FILE", "--require-anchor needs a policy")
	case !(f.minCoverage >= 0 && f.minCoverage <= 1): // also of a NaN
		return cmd.BadInput("", "--min-coverage %v is not between 0 and 1", f.minCoverage)
	case given("min-coverage") && f.contract == "":
		return cmd.BadInput("name the contract with --coverage-contract FILE", "--min-coverage says nothing without a contract")
	case given("max-age-hours") && !(f.maxAge > 0 && f.maxAge <= math.MaxFloat64):
		return cmd.BadInput("", "--max-age-hours %v is no age", f.maxAge)
	case given("expected-commit-sha") && !isHex(f.commit, 40):
		return cmd.BadInput("it is what 'git rev-parse HEAD' prints", "--expected-commit-sha %q is not 40 lowercase hex digits", f.commit)
	}
	for _, name := range []string{"lock", "coverage-contract", "policy", "tsa-roots", "proof", "now"} {
		// An empty variable in a script must not switch a check off.
		if given(name) && c.Flags().Lookup(name).Value.String() == "" {
			return cmd.BadInput("", "--%s is empty", name)
		}
	}
	return nil
}

// hours never becomes 0, which would be no limit, and never overflows into the past.
func hours(h float64) time.Duration {
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

// trustedSigner is the fingerprint that name is, or of the public key file that it names. Unlike a lock's
// author, who verifies has no keys: nothing is looked up in a home directory.
func trustedSigner(name string) (key [32]byte, err error) {
	if key, is, err := parseFingerprint(name); is {
		return key, err
	}
	text, err := cmd.ReadFile(name, 4<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return key, cmd.BadInput("a trusted signer is a fingerprint of 64 hex digits or a public key file", "no key file at %s", name)
	} else if err != nil {
		return key, err
	}
	return fileFingerprint(name, text)
}

// report is a judgement as it is shown, with what was asked for.
func (f *expectFlags) report(dir string, r *pack.Result, o pack.Options) *report.Report {
	return &report.Report{Result: r, Path: dir, At: o.Now, Version: pack.Version, Lock: o.Lock, MaxAgeHours: f.maxAge, MinCoverage: f.minCoverage}
}

func verifyPackCmd(s cmd.Streams) *cobra.Command {
	v := verifying{s: s}
	c := &cobra.Command{
		Use:     "verify-pack PACK...",
		Aliases: []string{"verify"},
		Short:   "Verify proof packs, offline",
		Long: `verify-pack judges each pack in channels that are never merged: integrity (were these bytes
altered?), claims (does the evidence meet the declared checks? they are executed again, not
believed), anchor (does a log that you trust hold it?), and what else is asked for. It reads the
packs and the files it is given, nothing else, and opens no connection. A lock is validated before
any pack is touched.

Patterns are expanded where the shell has not done it. With --latest each argument is a directory
(default: this one), of which the newest pack is judged, by the time in its manifest.`,
		Example: `  assay verify-pack ./proof_pack_trace_20260115T100000_5f2c9a01
  assay verify-pack ./proof_pack_*/ --lock assay.lock --require-claim-pass
  assay verify-pack ./pack --trusted-signer ci.pub --require-ci-binding --html report.html --badge badge.svg
  assay verify-pack 'vendor/*/' --lock vendor.lock --csv vendors.csv
  assay verify-pack ./pack --policy policy --require-anchor --tsa-roots roots.pem`,
		Args: func(c *cobra.Command, args []string) error {
			if latest, _ := c.Flags().GetBool("latest"); latest {
				return nil
			}
			return cmd.Args(cobra.MinimumNArgs(1), "at least one pack directory")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			v.c = c
			return v.all(args)
		},
	}
	v.add(c)
	c.Flags().BoolVar(&v.latest, "latest", false, "judge only the newest pack of each directory")
	c.Flags().StringVar(&v.html, "html", "", "write a page about the one pack to `FILE`")
	c.Flags().StringVar(&v.badge, "badge", "", "write an SVG badge of the one pack to `FILE`")
	c.Flags().StringVar(&v.out, "out", "", "write the judgement of the one pack, assay.verify_report.v0.1, to `FILE`")
	c.Flags().StringVar(&v.csv, "csv", "", "write a table with a row for each pack to `FILE`")
	c.Flags().BoolVar(&v.json, "json", false, "one JSON object on stdout")
	c.Flags().BoolVarP(&v.quiet, "quiet", "q", false, "nothing on stdout: the exit code says it")
	return c
}

// graver is the one of two exit codes that the other must not hide: tampered, bad input,
// unavailable, honest failure, pass; and before all of them what should not happen.
func graver(a, b int) int {
	order := []int{cmd.ExitPass, cmd.ExitHonestFail, cmd.ExitUnavailable, cmd.ExitBadInput, cmd.ExitTampered}
	rank := func(code int) int {
		if i := slices.Index(order, code); i >= 0 {
			return i
		}
		return len(order)
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// verdict ends a command whose result has been printed.
func verdict(code int) error {
	if code == cmd.ExitPass {
		return nil
	}
	return cmd.Verdict(code)
}

// verifying is one run of verify-pack.
type verifying struct {
	expectFlags
	s                     cmd.Streams
	c                     *cobra.Command
	html, badge, out, csv string
	latest, json, quiet   bool
}

// judged is one argument after its pack was judged, or an error in its place.
type judged struct {
	dir    string
	report *report.Report
	err    *cmd.Error
	code   int
}

// all judges each pack and ends with the gravest code.
func (v *verifying) all(args []string) error {
	if v.json && v.quiet {
		return cmd.BadInput("", "--json and --quiet exclude each other")
	}
	options, err := v.options(v.c)
	if err != nil {
		return err
	}
	dirs, err := v.packs(args)
	if err != nil {
		return err
	}
	if err := v.checkOutputs(dirs); err != nil {
		return err
	}
	list := make([]judged, len(dirs))
	worst := cmd.ExitPass
	for i, dir := range dirs {
		r, err := verifyDir(dir, options)
		if err != nil && len(dirs) == 1 {
			return err
		}
		list[i] = judged{dir: dir}
		if err != nil {
			list[i].err = v.s.Tell(v.c, err)
			list[i].code = list[i].err.Code
		} else {
			list[i].report = v.report(dir, r, options)
			list[i].code = r.ExitCode()
			if !v.json && !v.quiet {
				if err := printReport(v.s.Out, list[i].report); err != nil {
					return err
				}
			}
		}
		worst = graver(worst, list[i].code)
	}
	// A page that could not be written is not there for whoever asked for it, whatever the verdict.
	failed := v.write(list)
	if failed != nil {
		worst = graver(worst, v.s.Tell(v.c, failed).Code)
	}
	if v.json {
		if err := printJSON(v.s.Out, v.object(list, worst, failed)); err != nil {
			return err
		}
	}
	return verdict(worst)
}

// object is the result for machines: of one pack its judgement, of several a list of them.
func (v *verifying) object(list []judged, worst int, failed error) jcs.Value {
	var object jcs.Value
	if len(list) == 1 {
		object = list[0].report.JSON(v.c.Name())
	} else {
		status, packs := "ok", jcs.Arr()
		for _, j := range list {
			if j.err == nil {
				packs.Items = append(packs.Items, j.report.JSON(v.c.Name()))
			} else {
				packs.Items = append(packs.Items, answer(v.c.Name(), "error", j.code,
					jcs.M("path", jcsText(j.dir)), jcs.M("error", jcsText(j.err.Error()))))
			}
			if j.code == worst && worst != cmd.ExitPass {
				if status = "failed"; j.err != nil {
					status = "error"
				}
			}
		}
		object = answer(v.c.Name(), status, worst,
			jcs.M("verifier", jcs.Obj(jcs.M("name", jcs.Str("assay verify-pack")), jcs.M("version", jcs.Str(pack.Version)))),
			jcs.M("packs", packs))
	}
	if failed != nil {
		for i := range object.Members {
			switch m := &object.Members[i]; {
			case m.Name == "exit_code":
				m.Value = jcs.Int(int64(worst))
			case m.Name == "status" && m.Value.Text == "ok":
				m.Value = jcs.Str("error")
			}
		}
		object.Members = append(object.Members, jcs.M("error", jcsText(failed.Error())))
	} else if written := v.artifacts(); len(written.Members) > 0 {
		object.Members = append(object.Members, jcs.M("artifacts", written))
	}
	return object
}

func (v *verifying) artifacts() jcs.Value {
	o := jcs.Obj()
	for _, a := range []struct{ name, path string }{{"html", v.html}, {"badge", v.badge}, {"verify_report", v.out}, {"csv", v.csv}} {
		if a.path != "" {
			o.Members = append(o.Members, jcs.M(a.name, jcsText(a.path)))
		}
	}
	return o
}

// checkOutputs refuses, before anything is judged, what cannot be written or would be written over evidence.
func (v *verifying) checkOutputs(dirs []string) error {
	for _, o := range []struct{ flag, path string }{{"html", v.html}, {"badge", v.badge}, {"out", v.out}} {
		if o.path != "" && len(dirs) > 1 {
			return cmd.BadInput("--csv writes a row for each of several packs, --json prints them all", "--%s is for one pack, not %d", o.flag, len(dirs))
		}
	}
	if v.proof != "" && len(dirs) > 1 {
		return cmd.BadInput("", "--proof is for one pack, not %d", len(dirs))
	}
	return v.mayWrite(v.c, dirs, "html", "badge", "out", "csv")
}

// mayWrite refuses a file named by one of the flags that is in a pack, or one that the judgement rests on, or
// another's.
func (f *expectFlags) mayWrite(c *cobra.Command, dirs []string, flags ...string) error {
	written := map[string]string{}
	for _, flag := range flags {
		path := c.Flags().Lookup(flag).Value.String()
		switch {
		case path == "" && c.Flags().Changed(flag):
			return cmd.BadInput("", "--%s is empty", flag)
		case path == "":
			continue
		}
		parent, err := folderOf(path)
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if within(dir, parent) {
				return cmd.BadInput("write it elsewhere", "--%s %s is inside the pack", flag, path)
			}
		}
		for _, input := range slices.Concat([]string{f.lock, f.contract, f.policy, f.roots, f.proof}, f.cards, f.signers) {
			if sameFile(input, path) {
				return cmd.BadInput("write it elsewhere", "--%s %s is what the pack is held to", flag, path)
			}
		}
		whole := filepath.Join(parent, filepath.Base(path))
		if other, ok := written[whole]; ok {
			return cmd.BadInput("", "--%s and --%s name one file", other, flag)
		}
		written[whole] = flag
	}
	return nil
}

// folderOf is the directory of a file that need not exist, absolute and without links.
func folderOf(path string) (string, error) {
	parent, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(parent)
}

// within reports whether place, an absolute path without links, is dir or below it.
func within(dir, place string) bool {
	for {
		if sameFile(dir, place) {
			return true
		}
		up := filepath.Dir(place)
		if up == place {
			return false
		}
		place = up
	}
}

func sameFile(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}

func (v *verifying) write(list []judged) error {
	put := func(path string, data []byte) error {
		if path == "" {
			return nil
		}
		return durable.WriteFile(path, data, 0o644)
	}
	rows := make([]report.Row, len(list))
	for i, j := range list {
		rows[i] = report.Row{Path: j.dir, Report: j.report, Code: j.code}
		if j.err != nil {
			rows[i].Err = j.err.Error()
		}
	}
	err := put(v.csv, report.CSV(rows))
	if one := list[0].report; len(list) == 1 {
		if v.html != "" {
			page, madeErr := one.HTML()
			err = errors.Join(err, madeErr, put(v.html, page))
		}
		if v.out != "" {
			text, madeErr := jcs.AppendPretty(nil, one.Public())
			err = errors.Join(err, madeErr, put(v.out, cmd.SafeJSON(append(text, '\n'))))
		}
		err = errors.Join(err, put(v.badge, one.Badge()))
	}
	return err
}

// packs are the directories that the arguments name.
func (v *verifying) packs(args []string) (dirs []string, err error) {
	if v.latest && len(args) == 0 {
		args = []string{"."}
	}
	for _, arg := range args {
		named, err := expand(arg)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, named...)
	}
	if !v.latest {
		return dirs, nil
	}
	var newest []string
	for _, dir := range dirs {
		found, err := latestPacks(dir)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			fmt.Fprintf(v.s.Err, "latest of %s: %s\n", cmd.Safe(dir), cmd.Safe(one))
		}
		newest = append(newest, found...)
	}
	return newest, nil
}

// expand is what a shell makes of a pattern, for those that did not: quoted, or on Windows. What exists
// under its very name is no pattern.
func expand(arg string) ([]string, error) {
	if !strings.ContainsAny(arg, "*?[") {
		return []string{arg}, nil
	}
	if _, err := os.Lstat(arg); err == nil {
		return []string{arg}, nil
	}
	pattern := strings.TrimRightFunc(arg, func(r rune) bool { return r == '/' || r == filepath.Separator })
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, cmd.BadInput("", "%q is no pattern: %v", arg, err)
	}
	if pattern != arg { // "dir/*/" names directories only
		names = slices.DeleteFunc(names, func(name string) bool {
			info, err := os.Stat(name)
			return err != nil || !info.IsDir()
		})
	}
	if len(names) == 0 {
		return nil, cmd.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack matches %q", arg)
	}
	return names, nil
}

// latestPacks is the newest pack of a directory, by what its manifest says (a clone or a copy has other
// file times). A pack without such a time is returned as well: it is judged, not passed over.
func latestPacks(dir string) (found []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	newest, at := "", time.Time{}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		// A link to a pack is a pack: it may be the newest.
		if info, err := os.Stat(name); err != nil || !info.IsDir() || !looksLikePack(name) {
			continue
		}
		switch built, ok := buildTime(name); {
		case !ok:
			found = append(found, name)
		case newest == "" || built.After(at) || built.Equal(at) && name > newest:
			newest, at = name, built
		}
	}
	if newest != "" {
		found = append(found, newest)
	}
	if len(found) == 0 {
		return nil, cmd.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack in %s", dir)
	}
	return found, nil
}

func looksLikePack(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "pack_manifest.json"))
	return err == nil || strings.HasPrefix(filepath.Base(dir), "proof_pack_")
}

// buildTime is that of the pack id, pack_YYYYMMDDTHHMMSS_xxxxxxxx, or the time of the last receipt if that
// is later: it is, by less than a second, or where the id is another.
func buildTime(dir string) (at time.Time, ok bool) {
	text, err := cmd.ReadFile(filepath.Join(dir, "pack_manifest.json"), 1<<20)
	if err != nil {
		return at, false
	}
	m, _ := pack.VerifyManifest(text)
	if m == nil {
		return at, false
	}
	if stamp, ok := strings.CutPrefix(m.PackID, "pack_"); ok && len(stamp) > 15 {
		at, _ = time.Parse("20060102T150405", stamp[:15])
	}
	if last, err := time.Parse(time.RFC3339, m.Attestation.TimestampEnd); err == nil && last.After(at) {
		at = last
	}
	return at, !at.IsZero()
}

// verifyDir judges one directory; an error means that there was nothing to judge.
func verifyDir(dir string, o pack.Options) (*pack.Result, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, cmd.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack at %s", dir)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, cmd.BadInput("a pack is a directory such as proof_pack_TRACE", "%s is not a directory", dir)
	}
	fsys, closeDir, err := pack.DirFS(dir)
	if err != nil {
		return nil, err
	}
	r, err := pack.Verify(fsys, o)
	return r, errors.Join(err, closeDir())
}

// printResult shows a judgement that was made without flags.
func printResult(out io.Writer, dir string, r *pack.Result) error {
	return printReport(out, &report.Report{Result: r, Path: dir, Version: pack.Version})
}

// printReport shows a judgement to a person. The verdict line is last; nothing that a pack says
// can look like one, because every pack text is escaped and stands behind a word of ours. It is one
// write, so that what is cut short has no verdict line.
func printReport(out io.Writer, r *report.Report) error {
	w := new(strings.Builder)
	channelLines(w, r)
	fmt.Fprintf(w, "verdict    %s\n", r.Verdict())
	_, err := io.WriteString(out, w.String())
	return err
}

func channelLines(w *strings.Builder, r *report.Report) {
	fmt.Fprintf(w, "pack       %s\n", cmd.Safe(r.Title().String()))
	for _, c := range r.Channels() {
		fmt.Fprintf(w, "%-10s %s  %s\n", c.Name, c.Word, cmd.Safe(c.Text.String()))
		if c.Name != "claims" {
			continue
		}
		for _, c := range r.ClaimResults {
			if !c.Passed {
				fmt.Fprintf(w, "           %s (%s): expected %s; %s\n", cmd.Safe(c.ClaimID), cmd.Safe(c.Severity), cmd.Safe(c.Expected), cmd.Safe(c.Actual))
			}
		}
	}
	findings, warnings := r.Problems()
	for _, f := range findings {
		fmt.Fprintf(w, "  finding  %s\n", cmd.Safe(f.String()))
	}
	for _, f := range warnings {
		fmt.Fprintf(w, "  warning  %s\n", cmd.Safe(f.String()))
	}
}

func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

// packObject is the small view of a pack for commands whose result is something else.
func packObject(dir string, r *pack.Result) jcs.Value {
	v := jcs.Obj(
		jcs.M("path", jcsText(dir)),
		jcs.M("integrity", jcs.Str(string(r.Integrity))),
		jcs.M("claims", jcs.Str(string(r.Claims))),
		jcs.M("anchor", jcs.Str(string(r.Anchor))),
		jcs.M("n_receipts", jcs.Int(int64(r.Receipts))),
	)
	add := func(name string, value jcs.Value) {
		v.Members = append(v.Members, jcs.M(name, value))
	}
	if m := r.Manifest; m != nil {
		add("pack_id", jcs.Str(m.PackID))
		add("manifest_sha256", jcs.Str(fmt.Sprintf("%x", m.Digest())))
		add("pack_root_sha256", jcs.Str(fmt.Sprintf("%x", m.PackRoot)))
		add("signer_id", jcs.Str(m.SignerID))
		add("signer_pubkey_sha256", jcs.Str(fmt.Sprintf("%x", m.SignerFingerprint())))
		add("signer_pinned", jcs.Boolean(r.Pinned))
	}
	add("claim_results", claimObjects(r.ClaimResults))
	add("findings", findingsArray(r.Findings))
	add("warnings", findingsArray(r.Warnings))
	return v
}

func findingsArray(findings []pack.Finding) jcs.Value {
	v := jcs.Arr()
	for _, f := range findings {
		o := jcs.Obj(
			jcs.M("code", jcs.Str(f.Code)),
			jcs.M("field", jcs.Str(f.Field)),
			jcs.M("message", jcs.Str(f.Message)),
		)
		if f.Receipt >= 0 {
			o.Members = append(o.Members, jcs.M("receipt_index", jcs.Int(int64(f.Receipt))))
		}
		v.Items = append(v.Items, o)
	}
	return v
}

// jcsText is text of the file system, which need not be UTF-8.
func jcsText(text string) jcs.Value { return jcs.Str(strings.ToValidUTF8(text, "\ufffd")) }

// answer is what --json prints: the members that every object begins with, and those of its command.
func answer(command, status string, code int, members ...jcs.Member) jcs.Value {
	head := jcs.Obj(jcs.M("command", jcs.Str(command)), jcs.M("status", jcs.Str(status)), jcs.M("exit_code", jcs.Int(int64(code))))
	head.Members = append(head.Members, members...)
	return head
}

func printJSON(w io.Writer, v jcs.Value) error {
	text, err := jcs.AppendPretty(nil, v)
	if err != nil {
		return err
	}
	_, err = w.Write(cmd.SafeJSON(append(text, '\n')))
	return err
}
