package demo

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func demoIncidentCmd(s cli.Streams) *cobra.Command {
	return demoCmd(s, &cobra.Command{
		Use:   "demo-incident",
		Short: "See evidence of an incident that nobody can deny",
		Long: `demo-incident runs an agent on two days under the same three checks. On the second day somebody
has changed its model and left out its guardian; the pack says so, and is authentic. It needs no
key and no network, and leaves nothing behind.`,
		Example: `  assay demo-incident
  assay demo-incident --json`,
	}, demoIncident)
}

func demoIncident(d *demo) error {
	typ := func(id, description, check, kind string) claim.Claim {
		return claim.Claim{ID: id, Description: description, Check: check, Severity: "critical", Params: jcs.Obj(jcs.M("receipt_type", jcs.Str(kind)))}
	}
	approved := typ("approved_model", "Every model call is to gpt-4", "field_value_matches", "model_call")
	approved.Params.Members = append(approved.Params.Members, jcs.M("field_name", jcs.Str("model_id")), jcs.M("expected_value", jcs.Str("gpt-4")))
	policy := []claim.Card{{ID: "agent_policy", Name: "Agent policy", Description: "What the agent may do.", Claims: []claim.Claim{
		typ("model_called", "At least one model call is recorded", "receipt_type_present", "model_call"),
		typ("guardian_asked", "The guardian gave a verdict", "receipt_type_present", "guardian_verdict"),
		approved,
	}}}
	packed := func(day string, receipts ...demoReceipt) (string, error) {
		run, err := d.record(receipts...)
		if err != nil {
			return "", err
		}
		return d.pack(day, run, policy)
	}
	monday, err := packed("monday", modelCall("gpt-4"), modelCall("gpt-4"), guardian)
	if err != nil {
		return err
	}
	tuesday, err := packed("tuesday", modelCall("gpt-3.5-turbo"), modelCall("gpt-3.5-turbo"))
	if err != nil {
		return err
	}
	if err := d.say(`An agent's policy has three checks: a model call is recorded, the guardian gave a verdict, and
every call is to gpt-4.

Act 1, Monday: two calls to gpt-4, and the guardian was asked.

`); err != nil {
		return err
	}
	if err := d.act("monday", "monday", monday, promise{pack.Pass, pack.Pass, cli.ExitPass}); err != nil {
		return err
	}
	if err := d.say(`Act 2, Tuesday: somebody switched to a cheaper model and left the guardian out. Same policy.

`); err != nil {
		return err
	}
	if err := d.act("tuesday", "tuesday", tuesday, promise{pack.Pass, pack.Fail, cli.ExitHonestFail}); err != nil {
		return err
	}
	return d.say(`Nobody tampered with Tuesday's evidence, and it names what changed. A failed check in authentic
evidence is worth more than a passing one that nobody can check.
`)
}
