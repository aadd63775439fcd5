package pack

import (
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func TestNoPackIsBuiltWithACardThatNobodyCanReadBack(t *testing.T) {
	s := smallSpec(t)
	for what, card := range map[string]claim.Card{
		"parameters that a check of ours cannot use": {ID: "c", Name: "c", Claims: []claim.Claim{{ID: "c", Check: "receipt_count_le", Severity: "critical"}}},
		"a built-in's id":    {ID: "no_breakglass", Name: "n", Claims: []claim.Claim{{ID: "c", Check: "timestamps_monotonic", Severity: "critical"}}},
		"no claims":          {ID: "c", Name: "c"},
		"a path of the host": {ID: "c", Name: "c", Claims: []claim.Claim{{ID: "c", Check: claim.CoverageCheck, Severity: "critical", Params: jcs.Obj(jcs.M("contract_path", jcs.Str("/etc/passwd")))}}},
	} {
		s.Cards = []claim.Card{card}
		if _, err := Build(s); err == nil || !strings.Contains(err.Error(), "run card") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
