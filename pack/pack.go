// Package pack builds and judges proof packs: a directory of five files,
//
//	receipt_pack.jsonl     one canonical receipt a line
//	verify_report.json     what the builder checked
//	verify_transcript.md   the same for people
//	pack_manifest.json     attestation, file hashes, signer, Ed25519 signature
//	pack_signature.sig     the 64 signature bytes
//
// and an optional _unsigned/ that nothing signed covers.
//
// Build makes one in memory and BuildDir in a directory, from a Spec; VerifyDir judges a directory, and Verify
// any file system. A bad pack is a Result with finding codes; an error means that nothing could be judged. The
// package opens no connection and reads no clock.
//
// What a pack is made of has packages of its own: receipt, manifest (with every finding), claim (cards, checks
// and what they come to), lock (what a pack is held to) and entry (what a ledger logs of it).
package pack

// Limits on what a pack may hold. What exceeds one is a finding, never an error:
// a verifier of untrusted packs must answer in bounded time and memory (threats.md P07, P08).
const (
	maxJSONL   = 4 << 30 // bytes of receipt_pack.jsonl
	maxProof   = 1 << 20 // bytes of a tlog-proof
	maxListing = 1000    // directory entries looked at for the warning about extra files
)
