// Package trust decides, offline, whether a leaf stands in a log that the relying party trusts.
//
// It is pure: it takes bytes and gives answers, with no network, clock, file or logger.
// It implements these C2SP formats, each strictly, so that a text is either refused or
// written back byte for byte:
//
//	signed-note        the envelope: text, blank line, signature lines
//	tlog-checkpoint    what a log signs: origin, size, root hash
//	tlog-cosignature   what a witness adds: Ed25519 (0x04) and ML-DSA-44 (0x06)
//	tlog-policy        whom the relying party believes
//	tlog-proof         leaf index, inclusion proof and checkpoint in one file
//	tlog-witness       what a log asks a witness to cosign: the body of add-checkpoint
//
// A policy names logs and witnesses by their keys, and says which witnesses are enough:
//
//	log example.com/log+b1f0c2d3+AW…
//	witness w1 witness.example/w1+0a1b2c3d+BG…
//	witness w2 witness.example/w2+4e5f6071+Bg…
//	group enough any w1 w2
//	quorum enough
//
// A relying party parses the policy once, parses a proof and asks:
//
//	policy, err := trust.ParsePolicy(policyText)
//	proof, err := trust.ParseProof(proofText)
//	checkpoint, err := policy.CheckProof(proof, leaf)
//
// Every error is one of ErrMalformed, ErrUnknownLog, ErrSignature, ErrQuorum, ErrInclusion,
// ErrConsistency or ErrEmptyTree (test with errors.Is), or tells of a bad policy or key.
package trust

import "errors"

// What can be wrong with a note, a checkpoint or a proof. A caller branches with errors.Is.
var (
	// ErrMalformed: the bytes are no signed note, checkpoint, proof or add-checkpoint request at all.
	ErrMalformed = errors.New("malformed")

	// ErrUnknownLog: no log of the policy has this origin.
	ErrUnknownLog = errors.New("origin is no log of the policy")

	// ErrSignature: no key the policy gives for this origin signed the note, or a signature
	// under the name and ID of a log key of the policy does not verify.
	ErrSignature = errors.New("log signature does not verify")

	// ErrQuorum: the log signature is fine, there are not enough cosignatures.
	ErrQuorum = errors.New("witness quorum not met")

	// ErrInclusion: the checkpoint is fine, the leaf is not proved to be at that index under its root.
	ErrInclusion = errors.New("inclusion proof does not verify")

	// ErrConsistency: two trees are not proved to be one log at two times.
	ErrConsistency = errors.New("consistency proof does not verify")

	// ErrEmptyTree: a checkpoint of size 0 whose root is not EmptyRoot.
	ErrEmptyTree = errors.New("root of size 0 is not the empty tree's")
)
