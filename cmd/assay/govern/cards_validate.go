package govern

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// cardsValidate is one run of 'cards validate', with its flags.
type cardsValidate struct {
	s          cli.Streams
	bare, json bool
}

func cardsValidateCmd(s cli.Streams) *cobra.Command {
	o := cardsValidate{s: s}
	c := &cobra.Command{
		Use: "validate FILE...", Short: "Say whether cards can be relied on",
		Long: `validate reads card files strictly and says what keeps them from being relied on: claims that cannot
be asked, a missing rationale, and claims that no fixture shows pass and fail. It exits 3 if there is
anything. 'assay cards test' runs the fixtures.`,
		Example: "  assay cards validate cards/*.json",
		Args:    cli.Args(cobra.MinimumNArgs(1), "at least one card file"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *cardsValidate) add(c *cobra.Command) {
	c.Flags().BoolVar(&o.bare, "allow-bare", false, "do without rationale and fixtures")
	cli.JSONFlag(c, &o.json)
}

func (o *cardsValidate) run(_ *cobra.Command, args []string) error {
	w, list, code := new(strings.Builder), jcs.Arr(), cli.ExitPass
	for _, path := range args {
		var card claim.Card
		var problems []string
		object := jcs.Obj(jcs.M("path", jcs.Loose(path)))
		text, err := cli.ReadFile(path, 1<<20)
		if err == nil {
			card, err = claim.ParseCard(text)
		}
		if err != nil {
			problems = []string{err.Error()}
			o.s.HintFormat(path)
		} else {
			problems = card.Problems(o.bare)
			object.Members = append(object.Members, jcs.M("card_id", jcs.Str(card.ID)), jcs.M("claim_set_hash", jcs.Str(hashOf(card))))
		}
		said := jcs.Arr()
		for _, p := range problems {
			fmt.Fprintf(w, "problem    %s: %s\n", terminal.Safe(path), terminal.Safe(p))
			said.Items = append(said.Items, jcs.Loose(p))
			code = cli.ExitBadInput
		}
		if len(problems) == 0 {
			fmt.Fprintf(w, "valid      %s: %s %s\n", terminal.Safe(path), terminal.Safe(card.ID), hashOf(card))
		}
		object.Members = append(object.Members, jcs.M("problems", said))
		list.Items = append(list.Items, object)
	}
	if o.json {
		return printCards(o.s, "validate", code, jcs.M("cards", list))
	}
	return printText(o.s, w, code)
}
