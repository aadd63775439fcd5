package govern

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

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
