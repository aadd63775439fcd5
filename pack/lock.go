package pack

import "errors"

// Lock is a lockfile (pack.md §6): what a repository expects of its packs.
type Lock struct{ text []byte }

// CompatVersion is the release of the reference tool that this verifier counts as when a lockfile
// bounds the version (pack.md §6). It is not our own version.
const CompatVersion = "1.24.0"

var errStub = errors.New("not built yet")

// ParseLock reads and validates a lockfile; an error says every rule that it breaks.
func ParseLock(text []byte) (*Lock, error) { return nil, errStub }

// Marshal is the file.
func (l *Lock) Marshal() []byte { return l.text }

// Contract is a coverage contract (pack.md §4.8): the call sites that a scan found.
type Contract struct{ sites []string }

// ParseContract reads a coverage contract.
func ParseContract(text []byte) (*Contract, error) { return nil, errStub }

// CoverageResult compares the call sites of a contract with those that receipts name.
type CoverageResult struct {
	Verdict                   Verdict
	Share                     float64 // covered of all, 1 if there are none
	Covered, Uncovered, Extra []string
}
