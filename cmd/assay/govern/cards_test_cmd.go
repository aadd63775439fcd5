package govern

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// cardsTest is one run of 'cards test', with its flags.
type cardsTest struct {
	s     cli.Streams
	packs []string
	json  bool
}

func cardsTestCmd(s cli.Streams) *cobra.Command {
	o := cardsTest{s: s}
	c := &cobra.Command{
		Use: "test ID|FILE", Short: "Run a card on its fixtures, and on packs",
		Long: `test judges the claims of a card on each of its fixtures and exits 1 unless exactly those fail that
should. With --pack it also judges them on the receipts of packs, whatever those declare: 2 if a pack
is not intact, 1 if a critical claim fails on it.`,
		Example: "  assay cards test approved_models.json\n  assay cards test no_breakglass --pack ./pack",
		Args:    cli.Args(cobra.ExactArgs(1), "one built-in id or card file"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *cardsTest) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&o.packs, "pack", nil, "also judge the receipts of the pack `DIR` (repeat for more)")
	cli.JSONFlag(c, &o.json)
}

func (o *cardsTest) run(c *cobra.Command, args []string) error {
	cards, err := expect.FindCards(args)
	if err != nil {
		return err
	}
	if len(cards[0].Pass)+len(cards[0].Fail)+len(o.packs) == 0 {
		return cli.BadInput("add fixtures to the file, or name packs with --pack DIR", "card %s has nothing to be tested on", cards[0].ID)
	}
	t := cardTest{card: cards[0], fixtures: jcs.Arr(), packs: jcs.Arr()}
	for _, r := range t.card.Test() {
		t.fixture(r)
	}
	for _, dir := range o.packs {
		r, err := expect.VerifyDir(dir, pack.Options{Ask: cards, Cards: cards, Now: time.Now()})
		if err != nil {
			err := o.s.Tell(c, err)
			t.add(&t.packs, err.Code, jcs.M("path", jcs.Loose(dir)), jcs.M("error", jcs.Loose(err.Error())))
			continue
		}
		t.pack(dir, r)
	}
	if o.json {
		return printCards(o.s, "test", t.code, jcs.M("card_id", jcs.Str(t.card.ID)), jcs.M("claim_set_hash", jcs.Str(hashOf(t.card))),
			jcs.M("fixtures", t.fixtures), jcs.M("packs", t.packs))
	}
	return printText(o.s, &t.text, t.code)
}

// cardTest gathers what a card came to, for people and for machines.
type cardTest struct {
	card            claim.Card
	text            strings.Builder
	fixtures, packs jcs.Value
	code            int
}

func (t *cardTest) add(list *jcs.Value, code int, members ...jcs.Member) {
	t.code = cli.Graver(t.code, code)
	list.Items = append(list.Items, jcs.Obj(append(members, jcs.M("exit_code", jcs.Int(int64(code))))...))
}

func (t *cardTest) fixture(r claim.FixtureResult) {
	should, word, code := "pass", "as expected", cli.ExitPass
	if !r.ShouldPass {
		should = "fail"
	}
	if !r.OK() {
		word, code = "NOT as expected", cli.ExitHonestFail
	}
	members := []jcs.Member{jcs.M("name", jcs.Str(r.Name)), jcs.M("should", jcs.Str(should)), jcs.M("as_expected", jcs.Boolean(r.OK()))}
	fmt.Fprintf(&t.text, "fixture    %s, to %s: %s\n", terminal.Safe(r.Name), should, word)
	if r.Err != nil {
		code = cli.ExitBadInput
		members = append(members, jcs.M("error", jcs.Loose(r.Err.Error())))
		fmt.Fprintf(&t.text, "           %s\n", terminal.Safe(r.Err.Error()))
	}
	wrong := jcs.Arr()
	for _, id := range r.Wrong {
		wrong.Items = append(wrong.Items, jcs.Str(id))
		for _, c := range r.Results {
			if c.ClaimID == id {
				t.claim(c)
			}
		}
	}
	t.add(&t.fixtures, code, append(members, jcs.M("wrong", wrong), jcs.M("claim_results", report.ClaimResults(r.Results)))...)
}

func (t *cardTest) claim(c claim.Result) {
	word := "fails"
	if c.Passed {
		word = "passes"
	}
	fmt.Fprintf(&t.text, "           %s (%s) %s: expected %s; %s\n", terminal.Safe(c.ClaimID), terminal.Safe(string(c.Severity)), word, terminal.Safe(c.Expected), terminal.Safe(c.Actual))
}

func (t *cardTest) pack(dir string, r *pack.Result) {
	code, claims := r.ExitCode(), pack.Skipped
	if r.Integrity == pack.Pass {
		claims = pack.Pass
	}
	for _, c := range r.Claims.Asked {
		if !c.Passed && c.Severity == claim.Critical {
			claims, code = pack.Fail, cli.Graver(code, cli.ExitHonestFail)
		}
	}
	fmt.Fprintf(&t.text, "pack       %s: integrity %s, claims %s\n", terminal.Safe(dir), r.Integrity, claims)
	for _, c := range r.Claims.Asked {
		t.claim(c)
	}
	findings := slices.Concat(r.Findings, r.ExpectationFindings())
	for _, f := range findings {
		fmt.Fprintf(&t.text, "  finding  %s\n", terminal.Safe(f.String()))
	}
	t.add(&t.packs, code, jcs.M("path", jcs.Loose(dir)), jcs.M("integrity", jcs.Str(string(r.Integrity))), jcs.M("claims", jcs.Str(string(claims))),
		jcs.M("claim_results", report.ClaimResults(r.Claims.Asked)), jcs.M("findings", report.Findings("error", findings)))
}
