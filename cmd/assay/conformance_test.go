package main

import (
	"encoding/json"
	"testing"

	"github.com/Haserjian/assay-ledger/conformance"
)

// TestEveryCaseOfTheCorpusIsJudgedAsItSays is the contract of this verifier: exit code, verdicts and codes
// of every case, in text and in JSON.
func TestEveryCaseOfTheCorpusIsJudgedAsItSays(t *testing.T) {
	code, out, talk := homeless(t, "conformance", "run", "../../conformance/corpus", "--json")
	var judged struct {
		Agree, Differ int
		Cases         []struct {
			ID, State, Problem string
			Exit               int
			Want               int `json:"expected_exit"`
			Codes              []string
		}
	}
	if err := json.Unmarshal([]byte(out), &judged); err != nil {
		t.Fatalf("exit %d, %v: %s", code, err, talk)
	}
	for _, c := range judged.Cases {
		if c.State == string(conformance.Disagrees) {
			t.Errorf("%s: exit %d, want %d: %s; codes %v", c.ID, c.Exit, c.Want, c.Problem, c.Codes)
		}
	}
	if code != 0 || judged.Agree < 240 {
		t.Errorf("exit %d, %d cases agree: cases are missing", code, judged.Agree)
	}
}
