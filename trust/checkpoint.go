package trust

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is what an opened note says (C2SP tlog-checkpoint):
//
//	example.com/log
//	20852163
//	CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//
// Extensions are opaque. The log's signature covers them and so do Ed25519 cosignatures;
// ML-DSA-44 cosignatures do not, so a quorum of those vouches for origin, size and root only.
type Checkpoint struct {
	Origin       string
	Size         int64 // number of leaves
	Root         tlog.Hash
	Extensions   []string      // without newlines; nil if none
	Cosignatures []Cosignature // verified ones only, in policy order
	Signed       []byte        // canonical note: text, verified log signatures, verified cosignatures, both in policy order; nothing unverified
}

// Text returns the note text that is signed: origin, size, root, extension lines, each with newline.
func (c *Checkpoint) Text() []byte {
	text := append([]byte(c.Origin), '\n')
	text = strconv.AppendInt(text, c.Size, 10)
	text = append(text, '\n')
	text = append(text, c.Root.String()...) // standard base64
	text = append(text, '\n')
	for _, line := range c.Extensions {
		text = append(text, line...)
		text = append(text, '\n')
	}
	return text
}

// CutCheckpoint parses the text of a signed note, and returns its signature lines, of which none is verified: it is for
// notes that were verified before. Errors are those of ParseCheckpointText, and ErrMalformed for a note without signatures.
func CutCheckpoint(note []byte) (cp *Checkpoint, lines []byte, err error) {
	text, lines, err := cutNote(note)
	if err != nil {
		return nil, nil, err
	}
	cp, err = ParseCheckpointText(text)
	return cp, lines, err
}

// ParseCheckpointText parses a note text without its signatures; used by guard and by CutCheckpoint. It
// accepts exactly what Text writes for an origin and extension lines that are not empty, UTF-8 and
// free of control characters, a size of at least 0, and at size 0 no root but EmptyRoot (ErrEmptyTree).
// All other errors are ErrMalformed.
func ParseCheckpointText(text []byte) (*Checkpoint, error) {
	if err := checkCharacters(text); err != nil {
		return nil, err
	}
	body, ok := strings.CutSuffix(string(text), "\n")
	if !ok {
		return nil, fmt.Errorf("%w checkpoint: no newline at the end", ErrMalformed)
	}
	lines := strings.Split(body, "\n")
	if len(lines) < 3 {
		return nil, fmt.Errorf("%w checkpoint: want origin, size and root lines", ErrMalformed)
	}
	for i, line := range lines {
		// SPEC tlog-checkpoint: "a sequence of at least three non-empty lines"
		if line == "" {
			return nil, fmt.Errorf("%w checkpoint: line %d is empty", ErrMalformed, i+1)
		}
	}
	cp := &Checkpoint{Origin: lines[0]}
	var err error
	// SPEC tlog-checkpoint: "the ASCII decimal representation of the number of leaves in the tree,
	// with no leading zeroes"
	if cp.Size, err = ParseDecimal(lines[1]); err != nil {
		return nil, fmt.Errorf("%w checkpoint: size is %w", ErrMalformed, err)
	}
	if cp.Root, err = parseHash(lines[2]); err != nil {
		return nil, fmt.Errorf("%w checkpoint: root: %w", ErrMalformed, err)
	}
	if len(lines) > 3 {
		cp.Extensions = lines[3:]
	}
	if cp.Size == 0 && cp.Root != EmptyRoot {
		return nil, ErrEmptyTree
	}
	return cp, nil
}

// parseHash parses a SHA-256 hash in base64.
func parseHash(encoded string) (tlog.Hash, error) {
	b, err := DecodeBase64(encoded)
	if err != nil {
		return tlog.Hash{}, err
	}
	if len(b) != tlog.HashSize {
		return tlog.Hash{}, fmt.Errorf("hash has %d bytes, want %d", len(b), tlog.HashSize)
	}
	return tlog.Hash(b), nil
}

// OpenCheckpoint verifies the log signature and the witness quorum. Its errors are those of
// OpenLogSignature and ErrQuorum.
func (p *Policy) OpenCheckpoint(signed []byte) (*Checkpoint, error) {
	cp, err := p.OpenLogSignature(signed)
	if err != nil {
		return nil, err
	}
	cosigned := make(map[string]bool, len(cp.Cosignatures))
	for _, c := range cp.Cosignatures {
		cosigned[c.Witness] = true
	}
	if !p.Quorum(cosigned) {
		return nil, fmt.Errorf("%w: cosigned by %d of %d witnesses of the policy", ErrQuorum, len(cosigned), len(p.witnesses))
	}
	return cp, nil
}

// OpenLogSignature verifies only the log signature (no quorum); Cosignatures still lists verified
// ones. Its errors are ErrMalformed, ErrUnknownLog, ErrSignature and ErrEmptyTree.
//
// Signature lines of unknown keys are ignored. A line under the name and ID of a log key of the
// policy must verify, or the whole note is refused:
//
//	SPEC signed-note: "If a signature from a known key fails to verify, clients SHOULD reject the whole note."
//
// A line under the name and ID of a witness of the policy that does not verify is ignored instead: it
// counts for nothing and is not in Signed. A proof is assembled by those who carry it, and a line
// they forge must not spoil the cosignatures of others that do meet the quorum.
func (p *Policy) OpenLogSignature(signed []byte) (*Checkpoint, error) {
	text, signatures, err := splitNote(signed)
	if err != nil {
		return nil, err
	}
	// Nothing of the text but its origin is used, and no error tells of it, before a log key has
	// vouched for it.
	cp, parseErr := ParseCheckpointText(text)
	logLines, err := p.verifyLogLines(cp, text, signatures)
	if err != nil {
		return nil, err
	}
	if parseErr != nil {
		return nil, parseErr
	}
	cp.Cosignatures = p.verifyWitnessLines(cp, text, signatures)
	cp.Signed = append(cp.Signed, text...)
	cp.Signed = append(cp.Signed, '\n')
	for _, line := range logLines {
		cp.Signed = append(cp.Signed, line...)
	}
	for _, c := range cp.Cosignatures {
		cp.Signed = append(cp.Signed, c.Line...)
	}
	return cp, nil
}

// origins names the logs of the policy for an error, three at most.
func (p *Policy) origins() string {
	var names []string
	for _, l := range p.logs[:min(3, len(p.logs))] {
		names = append(names, strconv.Quote(l.Origin))
	}
	switch {
	case len(names) == 0:
		return "the policy has no log"
	case len(names) < len(p.logs):
		names = append(names, fmt.Sprintf("and %d more", len(p.logs)-len(names)))
	}
	return "the policy has " + strings.Join(names, ", ")
}

// verifyLogLines returns the verified lines by log keys whose name is the text's origin, in policy
// order, at least one. cp is nil if the text is no checkpoint.
func (p *Policy) verifyLogLines(cp *Checkpoint, text []byte, signatures []signature) ([][]byte, error) {
	origin, _, _ := bytes.Cut(text, []byte("\n"))
	known := func(l logWithKey) bool { return l.Origin == string(origin) }
	if !slices.ContainsFunc(p.logs, known) {
		if cp == nil {
			return nil, ErrUnknownLog
		}
		// The one thing that is said of an unsigned text: its well-formed origin, as its own word.
		return nil, fmt.Errorf("%w: the checkpoint calls its log %.100q, %s", ErrUnknownLog, cp.Origin, p.origins())
	}
	lines := make([][]byte, len(p.logs))
	for _, s := range signatures {
		i, ok := p.logByKey[s.keyRef]
		if !ok {
			continue
		}
		key := p.logs[i].key
		if !key.verifyLog(cp, text, s.blob) {
			return nil, ErrSignature
		}
		if key.name == string(origin) && lines[i] == nil {
			lines[i] = s.line
		}
	}
	lines = compact(lines)
	if len(lines) == 0 {
		return nil, ErrSignature
	}
	return lines, nil
}

// verifyLog verifies a log's signature over text. cp is nil if the text is no checkpoint.
func (k *publicKey) verifyLog(cp *Checkpoint, text, blob []byte) bool {
	if k.alg == Ed25519 {
		return VerifyEd25519(k.bytes, text, blob)
	}
	// SPEC tlog-checkpoint: "the ML-DSA-44 cosignature format doesn't sign the extension lines,
	// which SHOULD be empty." A log that signs this way therefore has none here: anybody could add one.
	if cp == nil || len(cp.Extensions) > 0 {
		return false
	}
	_, ok := k.verifyCosignature(cp, text, blob)
	return ok
}

// verifyWitnessLines returns the cosignatures that verify, one a witness, in policy order.
// Of several by one witness the first that verifies counts.
func (p *Policy) verifyWitnessLines(cp *Checkpoint, text []byte, signatures []signature) []Cosignature {
	found := make([]Cosignature, len(p.witnesses))
	for _, s := range signatures {
		i, ok := p.witnessByKey[s.keyRef]
		if !ok || found[i].Line != nil {
			continue
		}
		w := p.witnesses[i]
		timestamp, ok := w.key.verifyCosignature(cp, text, s.blob)
		// Time 0 says nothing of the largest tree seen, which is what a quorum is asked for.
		if !ok || timestamp == 0 {
			continue
		}
		found[i] = Cosignature{
			Witness:   w.Name,
			KeyName:   w.KeyName,
			Algorithm: w.Algorithm,
			Time:      time.Unix(int64(timestamp), 0).UTC(),
			Line:      bytes.Clone(s.line),
		}
	}
	var verified []Cosignature
	for _, c := range found {
		if c.Line != nil {
			verified = append(verified, c)
		}
	}
	return verified
}

// VerifyCosignatures verifies signature lines as a witness returned them over cp's text and returns
// the good ones in policy order; lines by unknown keys and lines that do not verify are ignored, and
// so the answer may be empty. The error is ErrMalformed if lines are no signature lines.
func (p *Policy) VerifyCosignatures(cp *Checkpoint, lines []byte) ([]Cosignature, error) {
	if cp == nil {
		return nil, errors.New("no checkpoint to verify cosignatures over")
	}
	if err := checkCharacters(lines); err != nil {
		return nil, err
	}
	signatures, err := parseSignatures(lines)
	if err != nil {
		return nil, err
	}
	return p.verifyWitnessLines(cp, cp.Text(), signatures), nil
}

// compact removes the nil lines.
func compact(lines [][]byte) [][]byte {
	var kept [][]byte
	for _, line := range lines {
		if line != nil {
			kept = append(kept, line)
		}
	}
	return kept
}
