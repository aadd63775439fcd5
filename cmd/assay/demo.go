package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
	"github.com/Haserjian/assay-ledger/pack/report"
)

func demoPackCmd(s cmd.Streams) *cobra.Command {
	return demoCmd(s, &cobra.Command{
		Use:   "demo-pack",
		Short: "See a pack pass, and one fail honestly",
		Long: `demo-pack makes five receipts, packs them twice and verifies both packs. It needs no key and no
network, and leaves nothing behind.`,
		Example: `  assay demo-pack
  assay demo-pack --json`,
	}, demoPack)
}

func demoIncidentCmd(s cmd.Streams) *cobra.Command {
	return demoCmd(s, &cobra.Command{
		Use:   "demo-incident",
		Short: "See evidence of an incident that nobody can deny",
		Long: `demo-incident runs an agent on two days under the same three checks. On the second day somebody
has changed its model and left out its guardian; the pack says so, and is authentic. It needs no
key and no network, and leaves nothing behind.`,
		Example: `  assay demo-incident
  assay demo-incident --json`,
	}, demoIncident)
}

func demoChallengeCmd(s cmd.Streams) *cobra.Command {
	var dir string
	c := demoCmd(s, &cobra.Command{
		Use:   "demo-challenge",
		Short: "Write a good and a tampered pack: can you tell which?",
		Long: `demo-challenge writes two packs that differ in one character, their checksums, and what to do with
them, with this tool and without. It needs no key and no network. Run again, it replaces what it
wrote before; a directory that holds anything else is left alone.`,
		Example: `  assay demo-challenge
  assay demo-challenge -o ./challenge --json`,
	}, func(d *demo) error { return d.challenge(dir) })
	c.Flags().StringVarP(&dir, "output", "o", "challenge_pack", "the `DIR` to write")
	return c
}

// demo is a story in acts. What they show is expected, and a demo that shows something else fails.
type demo struct {
	out     io.Writer
	json    bool
	dir     string // for packs and receipts; removed when the demo ends
	key     *keystore.Key
	now     time.Time
	acts    jcs.Value
	members []jcs.Member // of the JSON object, besides the acts
	failed  []string
}

func demoCmd(s cmd.Streams, c *cobra.Command, tell func(*demo) error) *cobra.Command {
	d := &demo{out: s.Out, acts: jcs.Arr()}
	c.Args = cmd.Args(cobra.NoArgs, "no argument")
	c.Flags().BoolVar(&d.json, "json", false, "one JSON object on stdout")
	c.RunE = func(c *cobra.Command, _ []string) error { return d.play(c, tell) }
	return c
}

func (d *demo) play(c *cobra.Command, tell func(*demo) error) (err error) {
	d.now = time.Now().UTC()
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return err
	}
	cmd.HoldSecret()
	// The key is never in a file: nobody can sign with it when the demo is over.
	if d.key, err = keystore.NewKey("demo", seed); err != nil {
		return err
	}
	if d.dir, err = os.MkdirTemp("", "assay-demo-*"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	if err := tell(d); err != nil {
		return err
	}
	return d.end(c)
}

func (d *demo) end(c *cobra.Command) error {
	status, code := "ok", cmd.ExitPass
	if len(d.failed) > 0 {
		status, code = "failed", cmd.ExitInternal
	}
	if d.json { // one object only; the reason is in it
		return cmd.Judged(code, cmd.PrintJSON(d.out, cmd.Answer(c.Name(), status, code, append(d.members, jcs.M("acts", d.acts))...)))
	}
	if code == cmd.ExitPass {
		return nil
	}
	return &cmd.Error{Code: code, Err: errors.New("not what this demo promises: " + strings.Join(d.failed, "; ")), Hint: "this is a bug; please report it"}
}

// say tells; a machine is told the acts only.
func (d *demo) say(format string, args ...any) error {
	if d.json {
		return nil
	}
	_, err := fmt.Fprintf(d.out, format, args...)
	return err
}

// demoReceipt is one receipt of a demo. The data is JSON.
type demoReceipt struct{ kind, data string }

// recorded are the receipts of one run.
type recorded struct {
	trace    string
	receipts []jcs.Value
}

// record puts receipts into a store, as a program does.
func (d *demo) record(receipts ...demoReceipt) (run recorded, err error) {
	store := capture.Store{Dir: filepath.Join(d.dir, "store")}
	if run.trace, err = capture.NewTraceID(d.now, rand.Reader); err != nil {
		return run, err
	}
	drafts := make([]capture.Draft, len(receipts))
	for i, r := range receipts {
		data, err := jcs.Parse([]byte(r.data), jcs.Limits{})
		if err != nil {
			return run, err
		}
		drafts[i] = capture.Draft{Type: r.kind, Data: data}
	}
	run.receipts, err = store.EmitAll(run.trace, drafts)
	return run, err
}

func (d *demo) pack(name string, run recorded, cards []pack.Card) (string, error) {
	built, err := pack.Build(pack.Spec{
		RunID: run.trace, PackID: "pack_demo_" + name + "_" + run.trace[len(run.trace)-8:],
		Receipts: run.receipts, Cards: cards, Now: time.Now().UTC(), Signer: d.key,
	})
	if err != nil {
		return "", err
	}
	dir := filepath.Join(d.dir, name)
	return dir, built.WriteDir(dir)
}

// promise is what an act must show.
type promise struct {
	integrity, claims pack.Verdict
	exit              int
}

// act verifies a pack as verify-pack --require-claim-pass does, shows the verdict and compares it with
// what was promised. shown is the path that a reader may type.
func (d *demo) act(name, shown, dir string, want promise) error {
	r, err := expect.VerifyDir(dir, pack.Options{Now: time.Now(), RequireClaims: true})
	if err != nil {
		return err
	}
	got := promise{r.Integrity, r.Claims, r.ExitCode()}
	if got != want {
		d.failed = append(d.failed, fmt.Sprintf("%s shows %v, expected %v", name, got, want))
	}
	if d.json {
		act := report.PackObject(shown, r)
		act.Members = append([]jcs.Member{jcs.M("act", jcs.Str(name)), jcs.M("as_promised", jcs.Boolean(got == want)), jcs.M("exit_code", jcs.Int(int64(got.exit)))},
			slices.DeleteFunc(act.Members, func(m jcs.Member) bool { return m.Name == "exit_code" })...)
		d.acts.Items = append(d.acts.Items, act)
		return nil
	}
	if err := d.say("$ assay verify-pack %s --require-claim-pass\n", cmd.Safe(shown)); err != nil {
		return err
	}
	if err := report.PrintResult(d.out, shown, r); err != nil {
		return err
	}
	return d.say("\n")
}

// builtin are built-in cards by id, in that order.
func builtin(ids ...string) (cards []pack.Card) {
	for _, id := range ids {
		for _, card := range pack.BuiltinCards() {
			if card.ID == id {
				cards = append(cards, card)
			}
		}
	}
	return cards
}

func modelCall(model string) demoReceipt {
	return demoReceipt{"model_call", fmt.Sprintf(`{"provider":"openai","model_id":%q,"input_tokens":1200,"output_tokens":350,"total_tokens":1550,"latency_ms":830,"finish_reason":"stop","integration_source":"demo"}`, model)}
}

var guardian = demoReceipt{"guardian_verdict", `{"verdict":"allow","action":"send_invoice","reason":"below the limit","risk_score":0.1}`}

func demoPack(d *demo) error {
	run, err := d.record(modelCall("gpt-4"), modelCall("gpt-4"), modelCall("gpt-4"), guardian,
		demoReceipt{"capability_use", `{"capability":"mail.send","target":"billing@example.com"}`})
	if err != nil {
		return err
	}
	four := builtin("receipt_completeness", "guardian_enforcement", "timestamp_ordering")
	hundred := pack.Card{ID: "demo_volume", Name: "Volume", Description: "A run of this size has many receipts.", Claims: []pack.Claim{{
		ID: "hundred_receipts", Description: "At least 100 receipts in the pack", Check: "receipt_count_ge", Severity: "critical",
		Params: jcs.Obj(jcs.M("min_count", jcs.Int(100))),
	}}}
	a, err := d.pack("A", run, four)
	if err != nil {
		return err
	}
	b, err := d.pack("B", run, append(four, hundred))
	if err != nil {
		return err
	}
	if err := d.say(`An agent called its model three times, asked its guardian once and sent one mail. That is five
receipts. They are packed and signed twice, with a key that was made for this demo.

Pack A declares four checks: something was recorded, a model was called, the guardian was asked,
and time ran forwards.

`); err != nil {
		return err
	}
	if err := d.act("A", "A", a, promise{pack.Pass, pack.Pass, cmd.ExitPass}); err != nil {
		return err
	}
	if err := d.say(`Pack B holds the same receipts and declares one check more: at least 100 of them.

`); err != nil {
		return err
	}
	if err := d.act("B", "B", b, promise{pack.Pass, pack.Fail, cmd.ExitHonestFail}); err != nil {
		return err
	}
	return d.say(`Both packs are authentic. B also says, and its signer cannot take that back, that a check does not
hold: exit 1, not 2. Try altering a pack: assay demo-challenge
`)
}

func demoIncident(d *demo) error {
	typ := func(id, description, check, kind string) pack.Claim {
		return pack.Claim{ID: id, Description: description, Check: check, Severity: "critical", Params: jcs.Obj(jcs.M("receipt_type", jcs.Str(kind)))}
	}
	approved := typ("approved_model", "Every model call is to gpt-4", "field_value_matches", "model_call")
	approved.Params.Members = append(approved.Params.Members, jcs.M("field_name", jcs.Str("model_id")), jcs.M("expected_value", jcs.Str("gpt-4")))
	policy := []pack.Card{{ID: "agent_policy", Name: "Agent policy", Description: "What the agent may do.", Claims: []pack.Claim{
		typ("model_called", "At least one model call is recorded", "receipt_type_present", "model_call"),
		typ("guardian_asked", "The guardian gave a verdict", "receipt_type_present", "guardian_verdict"),
		approved,
	}}}
	packed := func(day string, receipts ...demoReceipt) (string, error) {
		run, err := d.record(receipts...)
		if err != nil {
			return "", err
		}
		return d.pack(day, run, policy)
	}
	monday, err := packed("monday", modelCall("gpt-4"), modelCall("gpt-4"), guardian)
	if err != nil {
		return err
	}
	tuesday, err := packed("tuesday", modelCall("gpt-3.5-turbo"), modelCall("gpt-3.5-turbo"))
	if err != nil {
		return err
	}
	if err := d.say(`An agent's policy has three checks: a model call is recorded, the guardian gave a verdict, and
every call is to gpt-4.

Act 1, Monday: two calls to gpt-4, and the guardian was asked.

`); err != nil {
		return err
	}
	if err := d.act("monday", "monday", monday, promise{pack.Pass, pack.Pass, cmd.ExitPass}); err != nil {
		return err
	}
	if err := d.say(`Act 2, Tuesday: somebody switched to a cheaper model and left the guardian out. Same policy.

`); err != nil {
		return err
	}
	if err := d.act("tuesday", "tuesday", tuesday, promise{pack.Pass, pack.Fail, cmd.ExitHonestFail}); err != nil {
		return err
	}
	return d.say(`Nobody tampered with Tuesday's evidence, and it names what changed. A failed check in authentic
evidence is worth more than a passing one that nobody can check.
`)
}

// challengeTitle begins CHALLENGE.md: by it a directory is known to be ours.
const challengeTitle = "# Which of these packs was tampered with?\n"

const (
	challengeText = "CHALLENGE.md" // removed last, so that what a crash leaves is still known to be ours
	challengeSums = "SHA256SUMS.txt"
)

// challengeFiles are all files that demo-challenge writes.
func challengeFiles() (names []string) {
	for _, dir := range []string{"good", "tampered"} {
		for _, name := range pack.FileNames() {
			names = append(names, dir+"/"+name)
		}
	}
	return append(names, challengeSums, challengeText)
}

func (d *demo) challenge(output string) error {
	output = filepath.Clean(output)
	if err := checkReplaceable(output); err != nil {
		return err
	}
	run, err := d.record(modelCall("gpt-4"), modelCall("gpt-4"), guardian)
	if err != nil {
		return err
	}
	good, err := d.pack("good", run, builtin("receipt_completeness", "guardian_enforcement"))
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, name := range pack.FileNames() {
		data, err := os.ReadFile(filepath.Join(good, name))
		if err != nil {
			return err
		}
		files["good/"+name], files["tampered/"+name] = data, data
	}
	receipts := files["good/receipt_pack.jsonl"]
	files["tampered/receipt_pack.jsonl"] = bytes.Replace(receipts, []byte(`"gpt-4"`), []byte(`"gpt-5"`), 1)
	r, err := expect.VerifyDir(good, pack.Options{Now: d.now})
	if err != nil {
		return err
	}
	files[challengeText] = challengePage(&report.Report{Result: r, Path: "good", At: d.now, Version: pack.Version})
	files[challengeSums] = nil
	files[challengeSums] = sums(files, challengeSums)
	if err := replaceChallenge(output, files); err != nil {
		return err
	}
	d.members = append(d.members, jcs.M("output", jcs.Loose(output)))
	if err := d.say(`Two packs of one run are in %s. In one of them a single character was changed after it
was signed: a model's name, in the first receipt.

`, cmd.Safe(output)); err != nil {
		return err
	}
	for _, act := range []struct {
		name string
		want promise
	}{
		{"good", promise{pack.Pass, pack.Pass, cmd.ExitPass}},
		{"tampered", promise{pack.Fail, pack.Skipped, cmd.ExitTampered}},
	} {
		path := filepath.Join(output, act.name)
		if err := d.act(act.name, path, path, act.want); err != nil {
			return err
		}
	}
	return d.say(`Give %s to somebody who does not trust you, or this tool: CHALLENGE.md in it says how to
check the packs with other programs.
`, cmd.Safe(output))
}

// sums is what sha256sum -c reads.
func sums(files map[string][]byte, except string) []byte {
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != except {
			fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(files[name]), name)
		}
	}
	return text.Bytes()
}

// checkReplaceable admits what is not there, what is empty, and what demo-challenge wrote and nobody
// added to.
func checkReplaceable(dir string) error {
	refuse := func(format string, args ...any) error {
		return cmd.BadInput("name another directory with -o DIR", "%s is not replaced: %s", dir, fmt.Sprintf(format, args...))
	}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return refuse("it is not a directory")
	}
	known, found := challengeFiles(), 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		switch {
		case err != nil:
			return err
		case name == ".", e.IsDir() && (name == "good" || name == "tampered"):
		case !e.Type().IsRegular() || !slices.Contains(known, name):
			return refuse("it holds %s, which demo-challenge did not write", name)
		}
		found++
		return nil
	})
	if err != nil || found == 1 { // the directory alone
		return err
	}
	page, err := cmd.ReadFile(filepath.Join(dir, challengeText), 1<<20)
	if err != nil || !bytes.HasPrefix(page, []byte(challengeTitle)) {
		return refuse("it holds no CHALLENGE.md of demo-challenge")
	}
	return nil
}

// replaceChallenge removes file by file what checkReplaceable has seen, never a tree: what appeared in
// between stays, and its directory with it.
func replaceChallenge(dir string, files map[string][]byte) error {
	old := slices.DeleteFunc(challengeFiles(), func(name string) bool { return name == challengeText })
	for _, name := range append(old, "good", "tampered", challengeText, ".") {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	names := slices.Sorted(maps.Keys(files))
	data := make([][]byte, len(names))
	for i, name := range names {
		data[i] = files[name]
	}
	return durable.WriteDir(dir, names, data, 0o755, 0o644)
}

func challengePage(good *report.Report) []byte {
	return fmt.Appendf(nil, challengeTitle+`
`+"`good/` and `tampered/`"+` hold the evidence of one run of an agent: what it called, and what its guardian
said. Both are signed with one key, whose SHA-256 is

    %x

In one of them a single character was changed afterwards. The names tell which; the point is that
you need not believe them.

## With assay

    assay verify-pack good --require-claim-pass        # exit 0
    assay verify-pack tampered --require-claim-pass    # exit 2

Now tamper with `+"`good/`"+` yourself: change, add or remove what you like, in any file, and verify it again.
`+"`assay demo-challenge`"+` puts it back. `+"`assay explain good`"+` says what the pack proves and what it does not.

## Without assay

First, that you have the files as they were made (this says nothing about who made them):

    sha256sum -c SHA256SUMS.txt

Then the pack itself, with %s. Say `+"`cd tampered`"+` for the other one:

`+"```sh\n%s```"+`

With the good pack it ends without an error, after "Signature Verified Successfully". Whether the key
is the right one is a question for whoever you trust to name it; here it is the one above.
`, good.Manifest.SignerFingerprint(), report.Needs, good.Script())
}
