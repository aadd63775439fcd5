package govern

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func cardsCmd(s cli.Streams) *cobra.Command {
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
	c.AddCommand(cardsListCmd(s), cardsShowCmd(s), cardsNewCmd(s), cardsValidateCmd(s), cli.Judges(cardsTestCmd(s), cli.ExitHonestFail, cli.ExitTampered), cardsPredicatesCmd(s))
	return c
}

// printCards writes {"command": "cards …", "status": …, "exit_code": …, members…} and ends with the code.
func printCards(s cli.Streams, command string, code int, members ...jcs.Member) error {
	status := map[int]string{cli.ExitPass: "ok", cli.ExitBadInput: "error"}[code]
	if status == "" {
		status = "failed"
	}
	return cli.Judged(code, cli.PrintJSON(s.Out, cli.Answer("cards "+command, status, code, members...)))
}

func hashOf(card claim.Card) string { return claim.SetHash([]claim.Card{card}) }
