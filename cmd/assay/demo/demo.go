// Package demo shows on packs of its own what the other commands do: demo-pack, demo-incident and demo-challenge. It
// is the one room that may use the others; its keys are in no file, and what it wrote is gone when it ends.
package demo

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// Commands show on packs of their own what the others do.
func Commands(s cli.Streams) []*cobra.Command {
	return []*cobra.Command{demoPackCmd(s), demoIncidentCmd(s), demoChallengeCmd(s)}
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

func demoCmd(s cli.Streams, c *cobra.Command, tell func(*demo) error) *cobra.Command {
	d := &demo{out: s.Out, acts: jcs.Arr()}
	c.Args = cli.Args(cobra.NoArgs, "no argument")
	cli.JSONFlag(c, &d.json)
	c.RunE = func(c *cobra.Command, _ []string) error { return d.play(c, tell) }
	return c
}

func (d *demo) play(c *cobra.Command, tell func(*demo) error) (err error) {
	d.now = time.Now().UTC()
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return err
	}
	cli.HoldSecret()
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
	status, code := "ok", cli.ExitPass
	if len(d.failed) > 0 {
		status, code = "failed", cli.ExitInternal
	}
	if d.json { // one object only; the reason is in it
		return cli.Judged(code, cli.PrintJSON(d.out, cli.Answer(c.Name(), status, code, append(d.members, jcs.M("acts", d.acts))...)))
	}
	if code == cli.ExitPass {
		return nil
	}
	return &cli.Error{Code: code, Err: errors.New("not what this demo promises: " + strings.Join(d.failed, "; ")), Hint: "this is a bug; please report it"}
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

func (d *demo) pack(name string, run recorded, cards []claim.Card) (string, error) {
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
	got := promise{r.Integrity, r.Claims.Verdict, r.ExitCode()}
	if got != want {
		d.failed = append(d.failed, fmt.Sprintf("%s shows %v, expected %v", name, got, want))
	}
	if d.json {
		d.acts.Items = append(d.acts.Items, jcs.Obj(jcs.M("act", jcs.Str(name)), jcs.M("as_promised", jcs.Boolean(got == want)), jcs.M("exit_code", jcs.Int(int64(got.exit))),
			jcs.M("pack", report.New(shown, r).JSON("verify-pack"))))
		return nil
	}
	if err := d.say("$ assay verify-pack %s --require-claim-pass\n", terminal.Safe(shown)); err != nil {
		return err
	}
	if _, err := io.WriteString(d.out, report.New(shown, r).Text()); err != nil {
		return err
	}
	return d.say("\n")
}

// builtin are built-in cards by id, in that order.
func builtin(ids ...string) (cards []claim.Card) {
	for _, id := range ids {
		for _, card := range claim.BuiltinCards() {
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
