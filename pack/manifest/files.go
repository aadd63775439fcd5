package manifest

import "slices"

// The names of a pack's files.
const (
	ReceiptsName   = "receipt_pack.jsonl"
	ReportName     = "verify_report.json"
	TranscriptName = "verify_transcript.md"
	Name           = "pack_manifest.json"
	SignatureName  = "pack_signature.sig"
	UnsignedName   = "_unsigned"
	CardsName      = UnsignedName + "/run_cards.json"
	ProofName      = UnsignedName + "/anchor.tlog-proof"
	SummaryName    = UnsignedName + "/PACK_SUMMARY.md"
)

// contentFiles are the three that the manifest's files member lists, in its order.
// expectedFiles are the five of expected_files, in its order.
var (
	contentFiles  = []string{ReceiptsName, ReportName, TranscriptName}
	expectedFiles = []string{ReceiptsName, ReportName, TranscriptName, Name, SignatureName}
)

// FileNames are the five files of a pack, in the order of expected_files.
func FileNames() []string { return slices.Clone(expectedFiles) }
