package demo

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func demoPackCmd(s cli.Streams) *cobra.Command {
	return demoCmd(s, &cobra.Command{
		Use:   "demo-pack",
		Short: "See a pack pass, and one fail honestly",
		Long: `demo-pack makes five receipts, packs them twice and verifies both packs. It needs no key and no
network, and leaves nothing behind.`,
		Example: `  assay demo-pack
  assay demo-pack --json`,
	}, demoPack)
}

func demoPack(d *demo) error {
	run, err := d.record(modelCall("gpt-4"), modelCall("gpt-4"), modelCall("gpt-4"), guardian,
		demoReceipt{"capability_use", `{"capability":"mail.send","target":"billing@example.com"}`})
	if err != nil {
		return err
	}
	four := builtin("receipt_completeness", "guardian_enforcement", "timestamp_ordering")
	hundred := claim.Card{ID: "demo_volume", Name: "Volume", Description: "A run of this size has many receipts.", Claims: []claim.Claim{{
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
	if err := d.act("A", "A", a, promise{pack.Pass, pack.Pass, cli.ExitPass}); err != nil {
		return err
	}
	if err := d.say(`Pack B holds the same receipts and declares one check more: at least 100 of them.

`); err != nil {
		return err
	}
	if err := d.act("B", "B", b, promise{pack.Pass, pack.Fail, cli.ExitHonestFail}); err != nil {
		return err
	}
	return d.say(`Both packs are authentic. B also says, and its signer cannot take that back, that a check does not
hold: exit 1, not 2. Try altering a pack: assay demo-challenge
`)
}
