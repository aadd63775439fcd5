package check

import (
	"context"
	"regexp"
	"slices"
	"testing"

	"github.com/Haserjian/assay-ledger/conformance"
)

// The corpus must be able to fail: a verifier that says the same of everything does.
func TestAVerifierThatAlwaysSaysOneThingDiffers(t *testing.T) {
	corpus, err := conformance.Open("../../../conformance/corpus")
	if err != nil {
		t.Fatal(err)
	}
	for exit := range 4 {
		outcomes, err := corpus.Run(t.Context(), conformance.Options{ExitOnly: true, Extensions: true, Filter: regexp.MustCompile(`^(good_01|claimfail_01|tampered_01|missing_01)$`),
			Judge: func(context.Context, string, []string) (conformance.Answer, error) {
				return conformance.Answer{Exit: exit}, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, o := range outcomes {
			if o.State == conformance.Agrees {
				n++
			}
		}
		if len(outcomes) != 4 || n != 1 {
			t.Errorf("always %d: %d of %d agree", exit, n, len(outcomes))
		}
	}
}

func TestTextThatControlsATerminalIsADisagreement(t *testing.T) {
	if !slices.ContainsFunc([]rune("ok\x1b[2J"), isControl) || slices.ContainsFunc([]rune("ok\nfine é 日"), isControl) {
		t.Error("control characters are not told from text")
	}
}
