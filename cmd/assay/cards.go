package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
)

func cardsCmd(s cmd.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "cards",
		Short: "List, write, validate and test run cards",
		Long: `cards looks after run cards: the claims that a pack declares about its receipts. Six are built in;
more are JSON files, each with the reason why it is wanted and with fixtures, receipts on which its
claims must pass and fail. A card is its claims: their hash is what a pack attests and a lock pins.`,
		Example: `  assay cards new approved_models
  assay cards validate approved_models.json
  assay cards test approved_models.json --pack ./proof_pack_trace_20260115T100000_5f2c9a01`,
	}
	c.AddCommand(cardsListCmd(s), cardsShowCmd(s), cardsNewCmd(s), cardsValidateCmd(s), cmd.Judges(cardsTestCmd(s), cmd.ExitHonestFail, cmd.ExitTampered), cardsPredicatesCmd(s))
	return c
}

func cardsListCmd(s cmd.Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the built-in cards", Example: "  assay cards list",
		Args: cmd.Args(cobra.NoArgs, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			w, list := new(strings.Builder), jcs.Arr()
			for _, card := range pack.BuiltinCards() {
				fmt.Fprintf(w, "%-21s %.12s  %s\n", card.ID, hashOf(card), card.Description)
				list.Items = append(list.Items, jcs.Obj(
					jcs.M("card_id", jcs.Str(card.ID)),
					jcs.M("name", jcs.Str(card.Name)),
					jcs.M("description", jcs.Str(card.Description)),
					jcs.M("claims", jcs.Int(int64(len(card.Claims)))),
					jcs.M("claim_set_hash", jcs.Str(hashOf(card)))))
			}
			if asJSON {
				return printCards(s, "list", cmd.ExitPass, jcs.M("cards", list))
			}
			return printText(s, w, cmd.ExitPass)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	return c
}

func cardsShowCmd(s cmd.Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID|FILE", Short: "Show a card: its claims, their hash, the reason for it",
		Example: "  assay cards show no_breakglass\n  assay cards show approved_models.json --json",
		Args:    cmd.Args(cobra.ExactArgs(1), "one built-in id or card file"),
		RunE: func(_ *cobra.Command, args []string) error {
			cards, err := expect.FindCards(args)
			if err != nil {
				return err
			}
			card := cards[0]
			if asJSON {
				return printCards(s, "show", cmd.ExitPass, append(card.Value().Members,
					jcs.M("stochastic", jcs.Boolean(false)), jcs.M("trials", jcs.Int(1)), jcs.M("claim_set_hash", jcs.Str(hashOf(card))))...)
			}
			return printText(s, cardText(card), cmd.ExitPass)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	return c
}

func hashOf(card pack.Card) string { return pack.ClaimSetHash([]pack.Card{card}) }

func cardText(card pack.Card) *strings.Builder {
	w := new(strings.Builder)
	line := func(word, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-10s %s\n", word, cmd.Safe(text))
		}
	}
	line("card", card.ID)
	line("name", card.Name)
	line("hash", hashOf(card))
	line("about", card.Description)
	line("rationale", card.Rationale)
	line("control", strings.Join(card.Control, ", "))
	for _, c := range card.Claims {
		line("claim", fmt.Sprintf("%s (%s): %s %s", c.ID, c.Severity, c.Check, jsonText(c.Params)))
		line("", c.Description)
	}
	if n := len(card.Pass) + len(card.Fail); n > 0 {
		line("fixtures", fmt.Sprintf("%d to pass, %d to fail", len(card.Pass), len(card.Fail)))
	}
	return w
}

func jsonText(v jcs.Value) string {
	text, err := jcs.AppendPack(nil, v)
	if err != nil { // ParseCard refuses such cards
		return err.Error()
	}
	return string(text)
}

var cardID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`) })

func cardsNewCmd(s cmd.Streams) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "new ID", Short: "Write a card to start from",
		Long: `new writes a card file with one claim and with fixtures on which it passes and fails. Change the claim
('assay cards predicates' lists what can be claimed), the fixtures and the reasons to yours; then
'assay cards validate' and 'assay cards test' say whether the card can be relied on.`,
		Example: "  assay cards new approved_models -o cards/approved_models.json",
		Args:    cmd.Args(cobra.ExactArgs(1), "one id"),
		RunE: func(_ *cobra.Command, args []string) error {
			id := args[0]
			for _, card := range pack.BuiltinCards() {
				if card.ID == id {
					return cmd.BadInput("see it with 'assay cards show "+id+"'", "%s is the id of a built-in card", id)
				}
			}
			if !cardID().MatchString(id) {
				return cmd.BadInput("", "id %q is not 1 to 128 letters, digits, dots, underscores and hyphens", id)
			}
			if out == "" {
				out = id + ".json"
			}
			text, err := jcs.AppendPretty(nil, pack.NewCard(id).Value())
			if err != nil {
				return err
			}
			if err := durable.CreateFile(out, append(text, '\n'), 0o644); errors.Is(err, fs.ErrExist) {
				return cmd.BadInput("name another with --output", "%s exists", out)
			} else if err != nil {
				return err
			}
			fmt.Fprintf(s.Err, "next: write the claims and the rationale, then assay cards validate %s\n", cmd.Safe(out))
			_, err = fmt.Fprintf(s.Out, "%s\n", cmd.Safe(out))
			return err
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "card `FILE` to make (default: ID.json)")
	return c
}

func cardsValidateCmd(s cmd.Streams) *cobra.Command {
	var bare, asJSON bool
	c := &cobra.Command{
		Use: "validate FILE...", Short: "Say whether cards can be relied on",
		Long: `validate reads card files strictly and says what keeps them from being relied on: claims that cannot
be asked, a missing rationale, and claims that no fixture shows pass and fail. It exits 3 if there is
anything. 'assay cards test' runs the fixtures.`,
		Example: "  assay cards validate cards/*.json",
		Args:    cmd.Args(cobra.MinimumNArgs(1), "at least one card file"),
		RunE: func(_ *cobra.Command, args []string) error {
			w, list, code := new(strings.Builder), jcs.Arr(), cmd.ExitPass
			for _, path := range args {
				var card pack.Card
				var problems []string
				object := jcs.Obj(jcs.M("path", jcs.Loose(path)))
				text, err := cmd.ReadFile(path, 1<<20)
				if err == nil {
					card, err = pack.ParseCard(text)
				}
				if err != nil {
					problems = []string{err.Error()}
					s.HintFormat(path)
				} else {
					problems = card.Problems(bare)
					object.Members = append(object.Members, jcs.M("card_id", jcs.Str(card.ID)), jcs.M("claim_set_hash", jcs.Str(hashOf(card))))
				}
				said := jcs.Arr()
				for _, p := range problems {
					fmt.Fprintf(w, "problem    %s: %s\n", cmd.Safe(path), cmd.Safe(p))
					said.Items = append(said.Items, jcs.Loose(p))
					code = cmd.ExitBadInput
				}
				if len(problems) == 0 {
					fmt.Fprintf(w, "valid      %s: %s %s\n", cmd.Safe(path), cmd.Safe(card.ID), hashOf(card))
				}
				object.Members = append(object.Members, jcs.M("problems", said))
				list.Items = append(list.Items, object)
			}
			if asJSON {
				return printCards(s, "validate", code, jcs.M("cards", list))
			}
			return printText(s, w, code)
		},
	}
	c.Flags().BoolVar(&bare, "allow-bare", false, "do without rationale and fixtures")
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	return c
}

func cardsTestCmd(s cmd.Streams) *cobra.Command {
	var o struct {
		packs []string
		json  bool
	}
	c := &cobra.Command{
		Use: "test ID|FILE", Short: "Run a card on its fixtures, and on packs",
		Long: `test judges the claims of a card on each of its fixtures and exits 1 unless exactly those fail that
should. With --pack it also judges them on the receipts of packs, whatever those declare: 2 if a pack
is not intact, 1 if a critical claim fails on it.`,
		Example: "  assay cards test approved_models.json\n  assay cards test no_breakglass --pack ./pack",
		Args:    cmd.Args(cobra.ExactArgs(1), "one built-in id or card file"),
		RunE: func(c *cobra.Command, args []string) error {
			cards, err := expect.FindCards(args)
			if err != nil {
				return err
			}
			if len(cards[0].Pass)+len(cards[0].Fail)+len(o.packs) == 0 {
				return cmd.BadInput("add fixtures to the file, or name packs with --pack DIR", "card %s has nothing to be tested on", cards[0].ID)
			}
			t := cardTest{card: cards[0], fixtures: jcs.Arr(), packs: jcs.Arr()}
			for _, r := range t.card.Test() {
				t.fixture(r)
			}
			for _, dir := range o.packs {
				r, err := expect.VerifyDir(dir, pack.Options{Ask: cards, Cards: cards, Now: time.Now()})
				if err != nil {
					err := s.Tell(c, err)
					t.add(&t.packs, err.Code, jcs.M("path", jcs.Loose(dir)), jcs.M("error", jcs.Loose(err.Error())))
					continue
				}
				t.pack(dir, r)
			}
			if o.json {
				return printCards(s, "test", t.code, jcs.M("card_id", jcs.Str(t.card.ID)), jcs.M("claim_set_hash", jcs.Str(hashOf(t.card))),
					jcs.M("fixtures", t.fixtures), jcs.M("packs", t.packs))
			}
			return printText(s, &t.text, t.code)
		},
	}
	c.Flags().StringArrayVar(&o.packs, "pack", nil, "also judge the receipts of the pack `DIR` (repeat for more)")
	c.Flags().BoolVar(&o.json, "json", false, "one JSON object on stdout")
	return c
}

// cardTest gathers what a card came to, for people and for machines.
type cardTest struct {
	card            pack.Card
	text            strings.Builder
	fixtures, packs jcs.Value
	code            int
}

func (t *cardTest) add(list *jcs.Value, code int, members ...jcs.Member) {
	t.code = cmd.Graver(t.code, code)
	list.Items = append(list.Items, jcs.Obj(append(members, jcs.M("exit_code", jcs.Int(int64(code))))...))
}

func (t *cardTest) fixture(r pack.FixtureResult) {
	should, word, code := "pass", "as expected", cmd.ExitPass
	if !r.ShouldPass {
		should = "fail"
	}
	if !r.OK() {
		word, code = "NOT as expected", cmd.ExitHonestFail
	}
	members := []jcs.Member{jcs.M("name", jcs.Str(r.Name)), jcs.M("should", jcs.Str(should)), jcs.M("as_expected", jcs.Boolean(r.OK()))}
	fmt.Fprintf(&t.text, "fixture    %s, to %s: %s\n", cmd.Safe(r.Name), should, word)
	if r.Err != nil {
		code = cmd.ExitBadInput
		members = append(members, jcs.M("error", jcs.Loose(r.Err.Error())))
		fmt.Fprintf(&t.text, "           %s\n", cmd.Safe(r.Err.Error()))
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
	t.add(&t.fixtures, code, append(members, jcs.M("wrong", wrong), jcs.M("claim_results", report.ClaimObjects(r.Results)))...)
}

func (t *cardTest) claim(c pack.ClaimResult) {
	word := "fails"
	if c.Passed {
		word = "passes"
	}
	fmt.Fprintf(&t.text, "           %s (%s) %s: expected %s; %s\n", cmd.Safe(c.ClaimID), cmd.Safe(c.Severity), word, cmd.Safe(c.Expected), cmd.Safe(c.Actual))
}

func (t *cardTest) pack(dir string, r *pack.Result) {
	code, claims := r.ExitCode(), pack.Skipped
	if r.Integrity == pack.Pass {
		claims = pack.Pass
	}
	for _, c := range r.Asked {
		if !c.Passed && c.Severity == "critical" {
			claims, code = pack.Fail, cmd.Graver(code, cmd.ExitHonestFail)
		}
	}
	fmt.Fprintf(&t.text, "pack       %s: integrity %s, claims %s\n", cmd.Safe(dir), r.Integrity, claims)
	for _, c := range r.Asked {
		t.claim(c)
	}
	findings := slices.Concat(r.Findings, r.ExpectationFindings())
	for _, f := range findings {
		fmt.Fprintf(&t.text, "  finding  %s\n", cmd.Safe(f.String()))
	}
	t.add(&t.packs, code, jcs.M("path", jcs.Loose(dir)), jcs.M("integrity", jcs.Str(string(r.Integrity))), jcs.M("claims", jcs.Str(string(claims))),
		jcs.M("claim_results", report.ClaimObjects(r.Asked)), jcs.M("findings", report.FindingsArray(findings)))
}

func cardsPredicatesCmd(s cmd.Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "predicates", Short: "List what a claim can check, with its parameters",
		Long: `predicates lists every check that a claim can name. The first seven are those of the reference tool; the
others are ours: it verifies our packs with them, because it executes no claim again, but in packs that
it builds they fail as unknown.`,
		Example: "  assay cards predicates",
		Args:    cmd.Args(cobra.NoArgs, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			w, list := new(strings.Builder), jcs.Arr()
			for _, p := range pack.Predicates() {
				params := jcs.Arr()
				fmt.Fprintf(w, "%s\n    %s\n", p.Name, p.Summary)
				for _, param := range p.Params {
					needed := ""
					if param.Required {
						needed = " (required)"
					}
					fmt.Fprintf(w, "    %-16s %s%s\n", param.Name, param.Meaning, needed)
					params.Items = append(params.Items, jcs.Obj(jcs.M("name", jcs.Str(param.Name)),
						jcs.M("required", jcs.Boolean(param.Required)), jcs.M("meaning", jcs.Str(param.Meaning))))
				}
				list.Items = append(list.Items, jcs.Obj(jcs.M("check", jcs.Str(p.Name)), jcs.M("summary", jcs.Str(p.Summary)),
					jcs.M("reference", jcs.Boolean(p.Reference)), jcs.M("params", params)))
			}
			if asJSON {
				return printCards(s, "predicates", cmd.ExitPass, jcs.M("predicates", list))
			}
			return printText(s, w, cmd.ExitPass)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	return c
}

// printCards writes {"command": "cards …", "status": …, "exit_code": …, members…} and ends with the code.
func printCards(s cmd.Streams, command string, code int, members ...jcs.Member) error {
	status := map[int]string{cmd.ExitPass: "ok", cmd.ExitBadInput: "error"}[code]
	if status == "" {
		status = "failed"
	}
	return cmd.Judged(code, cmd.PrintJSON(s.Out, cmd.Answer("cards "+command, status, code, members...)))
}

func printText(s cmd.Streams, w *strings.Builder, code int) error {
	_, err := io.WriteString(s.Out, w.String())
	return cmd.Judged(code, err)
}
