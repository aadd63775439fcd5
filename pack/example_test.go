package pack_test

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// exampleSigner has a key that everybody knows; pack/keystore keeps real ones.
type exampleSigner struct{}

func (exampleSigner) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, 32)) }

func (exampleSigner) ID() string                  { return "example" }
func (s exampleSigner) Public() ed25519.PublicKey { return s.key().Public().(ed25519.PublicKey) }
func (s exampleSigner) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(s.key(), message), nil
}
func exampleReceipt(id, kind string, at time.Time) (r jcs.Value) {
	return jcs.Obj(jcs.M("receipt_id", jcs.Str(id)), jcs.M("type", jcs.Str(kind)),
		jcs.M("timestamp", jcs.Str(at.Format(time.RFC3339))), jcs.M("schema_version", jcs.Str("3.0")))
}

// Build makes a pack in memory, BuildDir one on disk. Verify and VerifyDir judge it, whoever made it.
func Example() {
	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	p, err := pack.Build(pack.Spec{
		RunID: "run-1", Now: at, Signer: exampleSigner{},
		Receipts: []jcs.Value{exampleReceipt("r1", "model_call", at), exampleReceipt("r2", "guardian_verdict", at)},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := pack.Verify(p.FS(), pack.Options{Now: at})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Integrity, r.Receipts, "receipts, exit", r.ExitCode())
	// Output:
	// PASS 2 receipts, exit 0
}
