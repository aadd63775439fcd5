package govern

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// cardsList is one run of 'cards list', with its flags.
type cardsList struct {
	s    cli.Streams
	json bool
}

func cardsListCmd(s cli.Streams) *cobra.Command {
	o := cardsList{s: s}
	c := &cobra.Command{
		Use: "list", Short: "List the built-in cards", Example: "  assay cards list",
		Args: cli.Args(cobra.NoArgs, "no argument"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *cardsList) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *cardsList) run(*cobra.Command, []string) error {
	w, list := new(strings.Builder), jcs.Arr()
	for _, card := range claim.BuiltinCards() {
		fmt.Fprintf(w, "%-21s %.12s  %s\n", card.ID, hashOf(card), card.Description)
		list.Items = append(list.Items, jcs.Obj(
			jcs.M("card_id", jcs.Str(card.ID)),
			jcs.M("name", jcs.Str(card.Name)),
			jcs.M("description", jcs.Str(card.Description)),
			jcs.M("claims", jcs.Int(int64(len(card.Claims)))),
			jcs.M("claim_set_hash", jcs.Str(hashOf(card)))))
	}
	if o.json {
		return printCards(o.s, "list", cli.ExitPass, jcs.M("cards", list))
	}
	return printText(o.s, w, cli.ExitPass)
}
