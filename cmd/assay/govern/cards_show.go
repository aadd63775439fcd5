package govern

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// cardsShow is one run of 'cards show', with its flags.
type cardsShow struct {
	s    cli.Streams
	json bool
}

func cardsShowCmd(s cli.Streams) *cobra.Command {
	o := cardsShow{s: s}
	c := &cobra.Command{
		Use: "show ID|FILE", Short: "Show a card: its claims, their hash, the reason for it",
		Example: "  assay cards show no_breakglass\n  assay cards show approved_models.json --json",
		Args:    cli.Args(cobra.ExactArgs(1), "one built-in id or card file"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *cardsShow) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *cardsShow) run(_ *cobra.Command, args []string) error {
	cards, err := expect.FindCards(args)
	if err != nil {
		return err
	}
	card := cards[0]
	if o.json {
		return printCards(o.s, "show", cli.ExitPass, append(card.Value().Members,
			jcs.M("stochastic", jcs.Boolean(false)), jcs.M("trials", jcs.Int(1)), jcs.M("claim_set_hash", jcs.Str(hashOf(card))))...)
	}
	return printText(o.s, cardText(card), cli.ExitPass)
}

func cardText(card claim.Card) *strings.Builder {
	w := new(strings.Builder)
	line := func(word, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-10s %s\n", word, terminal.Safe(text))
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
