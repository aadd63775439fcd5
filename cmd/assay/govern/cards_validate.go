package govern

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

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
