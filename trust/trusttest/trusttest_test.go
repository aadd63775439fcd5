package trusttest_test

import (
	"errors"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

func TestProofsOfTheLogVerifyAndThoseOfItsForkDoNot(t *testing.T) {
	log := trusttest.NewLog("example.com/log")
	witnesses := []*trusttest.Witness{
		trusttest.NewWitness("w1", trust.Ed25519Cosigner),
		trusttest.NewWitness("w2", trust.MLDSA44Cosigner),
	}
	policy := trusttest.Policy(log, witnesses, 2)
	log.Append([]byte("a"))
	log.Append([]byte("b"))

	fork := log.Fork(1)
	fork.Append([]byte("c"))

	cp, err := policy.CheckProof(log.Prove(1, witnesses...), []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	if cp.Size != 2 || len(cp.Cosignatures) != 2 || !cp.Cosignatures[0].Time.Equal(trusttest.Time) {
		t.Errorf("checkpoint of size %d with %d cosignatures", cp.Size, len(cp.Cosignatures))
	}
	if _, err := policy.CheckProof(fork.Prove(1, witnesses...), []byte("b")); !errors.Is(err, trust.ErrInclusion) {
		t.Errorf("leaf b in the fork: %v", err)
	}
	if _, err := policy.CheckProof(log.Prove(1, witnesses[0]), []byte("b")); !errors.Is(err, trust.ErrQuorum) {
		t.Errorf("one of two witnesses: %v", err)
	}
	if log.Root(2) == fork.Root(2) || log.Root(1) != fork.Root(1) {
		t.Error("the fork does not leave the log at 1")
	}
	if err := trust.CheckConsistency(1, log.Root(1), 2, log.Root(2), log.Consistency(1, 2)); err != nil {
		t.Error(err)
	}
	if err := trust.CheckConsistency(1, log.Root(1), 2, log.Root(2), fork.Consistency(1, 2)); !errors.Is(err, trust.ErrConsistency) {
		t.Errorf("the fork's proof: %v", err)
	}
}

func TestKeysAreFixed(t *testing.T) {
	a, b := trusttest.NewLog("example.com/log"), trusttest.NewLog("example.com/log")
	if a.SecretKey != b.SecretKey || a.SecretKey == trusttest.NewLog("example.com/other").SecretKey {
		t.Error("the key does not depend on the origin alone")
	}
	if string(a.Checkpoint()) != string(b.Checkpoint()) {
		t.Error("two empty logs differ")
	}
}
