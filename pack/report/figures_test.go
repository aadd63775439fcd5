package report

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

type signer struct{ key ed25519.PrivateKey }

func (s signer) ID() string                      { return "tester" }
func (s signer) Public() ed25519.PublicKey       { return s.key.Public().(ed25519.PublicKey) }
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// Digests and sums of a report are those of the files, computed here once more.
func TestTheFiguresOfAReportAreThoseOfThePack(t *testing.T) {
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	var receipts []jcs.Value
	for i := range 3 {
		v, err := jcs.Parse(fmt.Appendf(nil, `{"input_tokens": %d, "output_tokens": %d, "receipt_id": "r_%d", "schema_version": "3.0", "seq": %d, "timestamp": "2026-01-15T10:00:00+00:00", "type": "model_call"}`,
			1000+i, 10*i, i, i), jcs.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, v)
	}
	p, err := pack.Build(pack.Spec{RunID: "run", Receipts: receipts, Now: at, Signer: signer{ed25519.NewKeyFromSeed(make([]byte, 32))}})
	if err != nil {
		t.Fatal(err)
	}
	result, err := pack.Verify(p.FS(), pack.Options{Now: at})
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{Result: result, Path: "pack", At: at, Version: "0.1.0"}
	text, err := jcs.AppendPretty(nil, r.JSON("verify-pack"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Files {
		if f.Name != "receipt_pack.jsonl" && f.Name != "pack_manifest.json" {
			continue
		}
		if sum := fmt.Sprintf("%x", sha256.Sum256(f.Data)); !strings.Contains(string(text), sum) {
			t.Errorf("the SHA-256 %s of %s is not in the report", sum, f.Name)
		}
	}
	if result.Facts.HeadHash == "" || !strings.Contains(string(text), result.Facts.HeadHash) {
		t.Errorf("the head %q is not in the report", result.Facts.HeadHash)
	}
	for name, page := range map[string][]byte{"Markdown": r.Markdown(), "HTML": must(r.HTML())(t)} {
		if !strings.Contains(string(page), "3003 in, 30 out") {
			t.Errorf("%s does not give the tokens:\n%s", name, page)
		}
	}
}

func must(b []byte, err error) func(*testing.T) []byte {
	return func(t *testing.T) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}
