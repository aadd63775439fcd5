package trust_test

import (
	"errors"
	"fmt"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// A relying party holds a policy, which it got from somebody it believes, a leaf and a proof, which may come
// from anybody.
func ExamplePolicy_CheckProof() {
	log, witness := trusttest.NewLog("example.com/log"), trusttest.NewWitness("w1", trust.MLDSA44Cosigner)
	policyText := trusttest.Policy(log, []*trusttest.Witness{witness}, 1).Text()
	log.Append([]byte("another leaf"))
	proofText := log.Prove(log.Append([]byte("leaf")), witness).Marshal()

	policy, err := trust.ParsePolicy(policyText)
	if err != nil {
		fmt.Println(err)
		return
	}
	proof, err := trust.ParseProof(proofText)
	if err != nil {
		fmt.Println(err)
		return
	}
	checkpoint, err := policy.CheckProof(proof, []byte("leaf"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("leaf %d of %d in %s\n", proof.Index, checkpoint.Size, checkpoint.Origin)

	_, err = policy.CheckProof(proof, []byte("another leaf"))
	fmt.Println(errors.Is(err, trust.ErrInclusion))
	// Output:
	// leaf 1 of 2 in example.com/log
	// true
}
