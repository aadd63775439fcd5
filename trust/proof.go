package trust

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	// MaxProofHashes is the depth of the largest tree.
	MaxProofHashes = 63
)

// EmptyRoot is the root hash of the tree of size 0: SHA-256 of nothing. It never changes.
var EmptyRoot = tlog.Hash(sha256.Sum256(nil))

// LeafHash is the RFC 6962 leaf hash of leaf: SHA-256(0x00 || leaf).
func LeafHash(leaf []byte) tlog.Hash { return tlog.RecordHash(leaf) }

// Proof is a C2SP tlog-proof, in a file *.tlog-proof:
//
//	c2sp.org/tlog-proof@v1
//	extra eyJzY2hlbWFfdmVyc2lvbiI6Mn0=
//	index 1
//	gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
//
//	example.com/log
//	2
//	sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//
//	— example.com/log hI2DJw…
//	— witness.example/w1 mJirIk…
type Proof struct {
	Extra      []byte      // not authenticated by the proof; nil: no extra line; empty but non-nil: an empty one
	Index      int64       // of the leaf, from 0
	Hashes     []tlog.Hash // from the leaf's sibling to the root's child
	Checkpoint []byte      // the signed note, verbatim
}

// Marshal returns the text of the proof.
func (p *Proof) Marshal() []byte {
	text := []byte(proofHeader + "\n")
	if p.Extra != nil {
		text = append(text, "extra "...)
		text = base64.StdEncoding.AppendEncode(text, p.Extra)
		text = append(text, '\n')
	}
	text = append(text, "index "...)
	text = strconv.AppendInt(text, p.Index, 10)
	text = append(text, '\n')
	for _, h := range p.Hashes {
		text = append(text, h.String()...)
		text = append(text, '\n')
	}
	text = append(text, '\n')
	return append(text, p.Checkpoint...)
}

// ParseProof checks the form of a proof: it accepts exactly what Marshal writes for an index of at
// least 0, at most 63 hashes, and a well-formed signed note, 1 MiB in all. The error is ErrMalformed.
// Whether the proof proves anything is for Policy.CheckProof to say.
func ParseProof(text []byte) (*Proof, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w proof: longer than %d bytes", ErrMalformed, MaxSize)
	}
	head, checkpoint, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		return nil, fmt.Errorf("%w proof: no blank line before the checkpoint", ErrMalformed)
	}
	p, err := parseProofHead(strings.Split(head, "\n"))
	if err != nil {
		return nil, fmt.Errorf("%w proof: %w", ErrMalformed, err)
	}
	p.Checkpoint = []byte(checkpoint)
	if _, _, err := splitNote(p.Checkpoint); err != nil {
		return nil, fmt.Errorf("proof: %w", err)
	}
	// The code above means to be as strict as this, and this does not depend on it.
	if !bytes.Equal(p.Marshal(), text) {
		return nil, fmt.Errorf("%w proof: not in canonical form", ErrMalformed)
	}
	return p, nil
}

// parseProofHead parses the lines before the blank one.
func parseProofHead(lines []string) (*Proof, error) {
	// SPEC tlog-proof: "The first line MUST be the string `c2sp.org/tlog-proof@v1`."
	if lines[0] != proofHeader {
		return nil, fmt.Errorf("first line is not %s", proofHeader)
	}
	lines = lines[1:]
	p := &Proof{}
	var err error
	if len(lines) > 0 {
		if encoded, ok := strings.CutPrefix(lines[0], "extra "); ok {
			if p.Extra, err = DecodeBase64(encoded); err != nil {
				return nil, fmt.Errorf("extra: %w", err)
			}
			lines = lines[1:]
		}
	}
	if len(lines) == 0 {
		return nil, errors.New("no index line")
	}
	index, ok := strings.CutPrefix(lines[0], "index ")
	if !ok {
		return nil, errors.New("no index line")
	}
	// SPEC tlog-proof: "an ASCII decimal with no leading zeroes (unless the index is `0`)"
	if p.Index, err = ParseDecimal(index); err != nil {
		return nil, fmt.Errorf("index is %w", err)
	}
	lines = lines[1:]
	if len(lines) > MaxProofHashes {
		return nil, fmt.Errorf("more than %d hashes", MaxProofHashes)
	}
	for i, line := range lines {
		h, err := parseHash(line)
		if err != nil {
			return nil, fmt.Errorf("hash %d: %w", i+1, err)
		}
		p.Hashes = append(p.Hashes, h)
	}
	return p, nil
}

// CheckProof decides whether leaf stands at proof.Index of a log of the policy, under a checkpoint
// that the log signed and enough witnesses cosigned. It never uses proof.Extra. In this order:
//
//  1. the leaf hash is computed from leaf;
//  2. the origin and the log signature are checked (ErrMalformed, ErrUnknownLog, ErrSignature, ErrEmptyTree);
//  3. the witness quorum is checked (ErrQuorum);
//  4. the inclusion proof is checked against the checkpoint's root (ErrInclusion).
func (p *Policy) CheckProof(proof *Proof, leaf []byte) (*Checkpoint, error) {
	if proof == nil {
		return nil, fmt.Errorf("%w proof: there is none", ErrMalformed)
	}
	hash := LeafHash(leaf)
	cp, err := p.OpenCheckpoint(proof.Checkpoint)
	if err != nil {
		return nil, err
	}
	if err := CheckInclusion(proof.Index, cp.Size, hash, cp.Root, proof.Hashes); err != nil {
		return nil, err
	}
	return cp, nil
}

// CheckInclusion verifies an RFC 6962 inclusion proof: the leaf with this hash is the one at index
// of the tree with this size and root. The error is ErrInclusion.
func CheckInclusion(index, size int64, leaf, root tlog.Hash, hashes []tlog.Hash) error {
	if index < 0 || index >= size {
		return fmt.Errorf("%w: index %d is not in a tree of size %d", ErrInclusion, index, size)
	}
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leaf[:], byteSlices(hashes), root[:])
	if err != nil {
		return fmt.Errorf("%w: %d hashes do not lead from index %d to the root of size %d", ErrInclusion, len(hashes), index, size)
	}
	return nil
}

// CheckConsistency verifies an RFC 6962 consistency proof: the first oldSize leaves of the tree with
// size and root are the tree with oldRoot. From size 0 and between equal sizes the proof is empty, and
// a tree of size 0 has EmptyRoot. The error is ErrConsistency.
func CheckConsistency(oldSize int64, oldRoot tlog.Hash, size int64, root tlog.Hash, hashes []tlog.Hash) error {
	if oldSize < 0 || oldSize > size {
		return fmt.Errorf("%w: size %d does not come after %d", ErrConsistency, size, oldSize)
	}
	// The verifier below does not look at the roots of empty trees.
	if oldSize == 0 && oldRoot != EmptyRoot || size == 0 && root != EmptyRoot {
		return fmt.Errorf("%w: %w", ErrConsistency, ErrEmptyTree)
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(oldSize), uint64(size), byteSlices(hashes), oldRoot[:], root[:])
	if err != nil {
		return fmt.Errorf("%w: %d hashes do not lead from size %d to size %d", ErrConsistency, len(hashes), oldSize, size)
	}
	return nil
}

func byteSlices(hashes []tlog.Hash) [][]byte {
	s := make([][]byte, len(hashes))
	for i := range hashes {
		s[i] = hashes[i][:]
	}
	return s
}
