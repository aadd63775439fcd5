package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
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
	for name, value := range map[string]string{"--proof": f.proof, "--tsa-roots": f.roots} {
		if value != "" && f.policy == "" {
			return o, cmd.BadInput("name the logs and witnesses you trust with --policy FILE", "%s says nothing without a policy", name)
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

func verifyPackCmd(s cmd.Streams) *cobra.Command {
	var o struct {
		anchorFlags
		requireClaims, requireAnchor, json bool
		cards                              []string
	}
	c := &cobra.Command{
		Use:     "verify-pack PACK...",
		Aliases: []string{"verify"},
		Short:   "Verify proof packs, offline",
		Long: `verify-pack judges each pack in three channels that are never merged: integrity (were these
bytes altered?), claims (does the evidence meet the declared checks? they are executed again,
not believed) and anchor (does a log that you trust hold it?). It reads the packs and the
files it is given, nothing else, and opens no connection.`,
		Example: `  assay verify-pack ./proof_pack_trace_20260115T100000_5f2c9a01
  assay verify-pack ./proof_pack_* --require-claim-pass
  assay verify-pack ./pack --policy policy --require-anchor --tsa-roots roots.pem`,
		Args: cmd.Args(cobra.MinimumNArgs(1), "at least one pack directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if o.requireAnchor && o.policy == "" {
				return cmd.BadInput("name the logs and witnesses you trust with --policy FILE", "--require-anchor needs a policy")
			}
			if o.proof != "" && len(args) > 1 {
				return cmd.BadInput("", "--proof is for one pack, not %d", len(args))
			}
			options, err := o.options()
			if err != nil {
				return err
			}
			if options.Cards, err = findCards(o.cards); err != nil {
				return err
			}
			options.Now = time.Now()
			options.RequireClaims, options.RequireAnchor = o.requireClaims, o.requireAnchor
			return verifyAll(s, c, args, options, o.json)
		},
	}
	o.add(c)
	c.Flags().StringVar(&o.proof, "proof", "", "tlog-proof `FILE` (default: _unsigned/anchor.tlog-proof in the pack)")
	c.Flags().BoolVar(&o.requireClaims, "require-claim-pass", false, "exit 1 unless the claims pass")
	c.Flags().BoolVar(&o.requireAnchor, "require-anchor", false, "exit 2 unless the pack is proven to be logged under --policy")
	c.Flags().StringArrayVarP(&o.cards, "run-card", "c", nil, "`CARD` file whose claims the pack may have declared (repeat for more)")
	c.Flags().BoolVar(&o.json, "json", false, "one JSON object on stdout")
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

// verifyAll judges each pack and ends with the gravest code.
func verifyAll(s cmd.Streams, c *cobra.Command, dirs []string, o pack.Options, asJSON bool) error {
	worst, status := cmd.ExitPass, "ok"
	packs := jcs.Arr()
	for _, dir := range dirs {
		r, err := verifyDir(dir, o)
		if err != nil && len(dirs) == 1 && !asJSON {
			return err
		}
		code := 0
		var object jcs.Value
		if err != nil {
			code = s.Tell(c, err).Code
			object = jcs.Obj(jcs.M("path", jcsText(dir)), jcs.M("error", jcsText(err.Error())))
		} else {
			code = r.ExitCode()
			object = packObject(dir, r)
		}
		object.Members = append(object.Members, jcs.M("exit_code", jcs.Int(int64(code))))
		packs.Items = append(packs.Items, object)
		if worst = graver(worst, code); worst == code && code != cmd.ExitPass {
			status = "failed"
			if err != nil {
				status = "error"
			}
		}
		if err == nil && !asJSON {
			if err := printResult(s.Out, dir, r); err != nil {
				return err
			}
		}
	}
	if asJSON {
		if err := printJSON(s.Out, jcs.Obj(
			jcs.M("command", jcs.Str("verify-pack")),
			jcs.M("status", jcs.Str(status)),
			jcs.M("exit_code", jcs.Int(int64(worst))),
			jcs.M("verifier", jcs.Str("assay "+pack.Version)),
			jcs.M("packs", packs),
		)); err != nil {
			return err
		}
	}
	return verdict(worst)
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

// printResult shows a judgement to a person. The verdict line is last; nothing that a pack says
// can look like one, because every pack text is escaped and stands behind a word of ours. It is one
// write, so that what is cut short has no verdict line.
func printResult(out io.Writer, dir string, r *pack.Result) error {
	w := new(strings.Builder)
	name := dir
	if r.Manifest != nil {
		name = r.Manifest.PackID
	}
	fmt.Fprintf(w, "pack       %s\n", cmd.Safe(name))
	fmt.Fprintf(w, "integrity  %s  %s\n", r.Integrity, integrityWords(r))
	fmt.Fprintf(w, "claims     %s  %s\n", r.Claims, claimWords(r))
	for _, c := range r.ClaimResults {
		if !c.Passed {
			fmt.Fprintf(w, "           %s (%s): expected %s; %s\n", cmd.Safe(c.ClaimID), cmd.Safe(c.Severity), cmd.Safe(c.Expected), cmd.Safe(c.Actual))
		}
	}
	fmt.Fprintf(w, "anchor     %s  %s\n", r.Anchor, anchorWords(r))
	if m := r.Manifest; m != nil && r.Integrity == pack.Pass {
		fmt.Fprintf(w, "signer     %s, key %x, UNPINNED: nobody here says whose key that is\n", cmd.Safe(m.SignerID), m.SignerFingerprint())
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "  finding  %s\n", cmd.Safe(f.String()))
	}
	for _, f := range r.Warnings {
		fmt.Fprintf(w, "  warning  %s\n", cmd.Safe(f.String()))
	}
	fmt.Fprintf(w, "verdict    exit %d: %s\n", r.ExitCode(), verdictWords(r))
	_, err := io.WriteString(out, w.String())
	return err
}

func integrityWords(r *pack.Result) string {
	if r.Integrity != pack.Pass {
		return count(len(r.Findings), "finding")
	}
	return count(r.Receipts, "receipt") + ", hashes and signature hold"
}

func count(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return fmt.Sprintf("%d %s", n, word)
}

func claimWords(r *pack.Result) string {
	passed := 0
	for _, c := range r.ClaimResults {
		if c.Passed {
			passed++
		}
	}
	switch {
	case r.Integrity != pack.Pass:
		return "not judged: the evidence is not intact"
	case r.Claims == pack.Skipped:
		return "no checks were declared"
	case !r.ClaimsReexecuted:
		return "says the signer; not executed again, because the definitions are not here (--run-card)"
	}
	return fmt.Sprintf("%d of %d checks hold, executed again", passed, len(r.ClaimResults))
}

func anchorWords(r *pack.Result) string {
	if r.Anchor != pack.Pass {
		if r.Anchor == pack.Skipped {
			return "not checked against any log"
		}
		return "no proof that holds under the policy"
	}
	words := fmt.Sprintf("entry %d of %s, tree size %d, cosigned by", r.Logged.Index, cmd.Safe(r.Log.Origin), r.Log.Size)
	if len(r.Log.Cosignatures) == 0 {
		words += " nobody (the policy asks for nobody)"
	}
	for i, c := range r.Log.Cosignatures {
		if i > 0 {
			words += ","
		}
		words += " " + cmd.Safe(c.Witness)
	}
	if t := r.Time; t != nil {
		words += fmt.Sprintf("; timestamped %s (within %s) by %s", t.Time.UTC().Format(time.RFC3339), t.Accuracy, cmd.Safe(t.Signer))
	}
	return words
}

func verdictWords(r *pack.Result) string {
	switch code := r.ExitCode(); {
	case code == cmd.ExitPass && r.Claims == pack.Fail:
		return "pass: the pack is intact, and nobody required its claims to hold"
	case code == cmd.ExitPass:
		return "pass"
	case code == cmd.ExitHonestFail && r.Claims == pack.Skipped:
		return "honest failure: claims are required, and the pack declares none"
	case code == cmd.ExitHonestFail && r.Claims == pack.Pass:
		return "honest failure: the required claims cannot be executed again here; --run-card names their definitions"
	case code == cmd.ExitHonestFail:
		return "honest failure: authentic evidence, and a required check does not hold"
	case r.Integrity != pack.Pass:
		return "tampered or malformed: do not rely on this pack"
	case r.Anchor == pack.Fail:
		return "the pack is intact, but its proof of being logged does not hold"
	}
	return "the pack is intact, but not proven to be logged, as required"
}

// packObject is the machine's view of a judgement.
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
		add("signer_pinned", jcs.Boolean(false))
	}
	if r.Anchor == pack.Pass {
		add("log", logObject(r))
	}
	claims := jcs.Arr()
	for _, c := range r.ClaimResults {
		claims.Items = append(claims.Items, jcs.Obj(
			jcs.M("claim_id", jcs.Str(c.ClaimID)),
			jcs.M("passed", jcs.Boolean(c.Passed)),
			jcs.M("expected", jcs.Str(c.Expected)),
			jcs.M("actual", jcs.Str(c.Actual)),
			jcs.M("severity", jcs.Str(c.Severity)),
		))
	}
	add("claim_results", claims)
	add("findings", findingsArray(r.Findings))
	add("warnings", findingsArray(r.Warnings))
	return v
}

func logObject(r *pack.Result) jcs.Value {
	witnesses := jcs.Arr()
	for _, c := range r.Log.Cosignatures {
		witnesses.Items = append(witnesses.Items, jcs.Obj(
			jcs.M("name", jcs.Str(c.Witness)),
			jcs.M("time", jcs.Str(c.Time.UTC().Format(time.RFC3339))),
		))
	}
	v := jcs.Obj(
		jcs.M("origin", jcs.Str(r.Log.Origin)),
		jcs.M("index", jcs.Int(r.Logged.Index)),
		jcs.M("tree_size", jcs.Int(r.Log.Size)),
		jcs.M("submitted_at", jcs.Str(r.Logged.Entry.SubmittedAt.UTC().Format(time.RFC3339Nano))),
		jcs.M("cosignatures", witnesses),
	)
	if t := r.Time; t != nil {
		v.Members = append(v.Members,
			jcs.M("timestamp", jcs.Str(t.Time.UTC().Format(time.RFC3339Nano))),
			jcs.M("timestamp_accuracy", jcs.Str(t.Accuracy.String())))
	}
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

func printJSON(w io.Writer, v jcs.Value) error {
	text, err := jcs.AppendPretty(nil, v)
	if err != nil {
		return err
	}
	_, err = w.Write(cmd.SafeJSON(append(text, '\n')))
	return err
}
