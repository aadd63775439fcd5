package trust

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on a signed note and on a proof. Sixteen signatures of the largest post-quantum
// kind (5 kB each) are an eighth of MaxSize.
const (
	MaxSize           = 1 << 20 // bytes of a note, a proof or a policy
	MaxSignatureLines = 64      // of one note
)

const signaturePrefix = "— " // em dash, space

// keyRef is what a signature line says of its key. It selects a key, it does not prove one:
// anybody can write any name and ID.
type keyRef struct {
	name string
	id   uint32
}

// signature is one signature line, not yet verified.
type signature struct {
	keyRef
	blob []byte // what follows the key ID
	line []byte // the whole line with its newline
}

// splitNote checks the form of a signed note (C2SP signed-note) and takes it apart.
// Nothing it returns is verified.
//
//	origin            ┐
//	size              │ text, with its final newline
//	root hash         ┘
//	                  blank line
//	— name base64     one or more signature lines
func splitNote(signed []byte) (text []byte, signatures []signature, err error) {
	if err := checkCharacters(signed); err != nil {
		return nil, nil, err
	}
	text, lines, err := cutNote(signed)
	if err != nil {
		return nil, nil, err
	}
	signatures, err = parseSignatures(lines)
	if err != nil {
		return nil, nil, err
	}
	return text, signatures, nil
}

// cutNote cuts a note into its text and its signature lines.
// SPEC signed-note: "the text is separated from the signatures by the last empty line in the note."
func cutNote(signed []byte) (text, lines []byte, err error) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return nil, nil, fmt.Errorf("%w note: no blank line before the signatures", ErrMalformed)
	}
	return signed[:i+1], signed[i+2:], nil
}

// checkCharacters enforces what holds for every byte of a note.
func checkCharacters(note []byte) error {
	if len(note) > MaxSize {
		return fmt.Errorf("%w note: longer than %d bytes", ErrMalformed, MaxSize)
	}
	// SPEC signed-note: "Signed notes MUST be valid UTF-8 and MUST NOT contain any ASCII control
	// characters (those below U+0020) other than newline."
	if !utf8.Valid(note) {
		return fmt.Errorf("%w note: not UTF-8", ErrMalformed)
	}
	for _, b := range note {
		if b < 0x20 && b != '\n' {
			return fmt.Errorf("%w note: control character 0x%02x", ErrMalformed, b)
		}
	}
	return nil
}

// parseSignatures parses one or more signature lines, each with its newline.
func parseSignatures(lines []byte) ([]signature, error) {
	if len(lines) == 0 {
		return nil, fmt.Errorf("%w note: no signature line", ErrMalformed)
	}
	var signatures []signature
	for line := range bytes.Lines(lines) {
		n := len(signatures) + 1
		if n > MaxSignatureLines {
			return nil, fmt.Errorf("%w note: more than %d signature lines", ErrMalformed, MaxSignatureLines)
		}
		s, err := parseSignature(line)
		if err != nil {
			return nil, fmt.Errorf("%w note: signature line %d: %w", ErrMalformed, n, err)
		}
		signatures = append(signatures, s)
	}
	return signatures, nil
}

// parseSignature parses "— name base64(key ID || signature)\n".
func parseSignature(line []byte) (signature, error) {
	rest, ok := strings.CutSuffix(string(line), "\n")
	if !ok {
		return signature{}, errors.New("no newline at the end")
	}
	rest, ok = strings.CutPrefix(rest, signaturePrefix)
	if !ok {
		return signature{}, errors.New("does not begin with an em dash and a space")
	}
	name, encoded, ok := strings.Cut(rest, " ")
	if !ok {
		return signature{}, errors.New("want a key name, a space and base64")
	}
	if err := checkKeyName(name); err != nil {
		return signature{}, err
	}
	blob, err := DecodeBase64(encoded)
	if err != nil {
		return signature{}, err
	}
	if len(blob) < 5 {
		return signature{}, errors.New("shorter than a key ID and a signature")
	}
	return signature{
		keyRef: keyRef{name, binary.BigEndian.Uint32(blob)},
		blob:   blob[4:],
		line:   line,
	}, nil
}

// formatSignature is what parseSignature reads.
func formatSignature(ref keyRef, sig []byte) []byte {
	blob := append(binary.BigEndian.AppendUint32(nil, ref.id), sig...)
	return []byte(signaturePrefix + ref.name + " " + base64.StdEncoding.EncodeToString(blob) + "\n")
}

// checkKeyName enforces what a key name may be in a note, a vkey and a secret key.
func checkKeyName(name string) error {
	// SPEC signed-note: "Key names MUST be non-empty and MUST NOT contain any Unicode spaces or plus
	// (U+002B) characters."
	switch {
	case name == "":
		return errors.New("empty key name")
	case !utf8.ValidString(name):
		return errors.New("key name is not UTF-8")
	case strings.Contains(name, "+"):
		return errors.New("key name contains a plus")
	}
	for _, r := range name {
		if unicode.IsSpace(r) || r < 0x20 {
			return fmt.Errorf("key name contains %U", r)
		}
	}
	return nil
}

// DecodeBase64 decodes standard base64 with its padding, in the one spelling that encoding/base64 writes.
// Its decoder, even a strict one, skips newlines.
func DecodeBase64(encoded string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || base64.StdEncoding.EncodeToString(b) != encoded {
		return nil, errors.New("base64 is not canonical")
	}
	return b, nil
}

// ParseDecimal parses 0 … 2^63−1 in its one spelling: no sign, no leading zero, ASCII digits alone.
func ParseDecimal(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, errors.New("not a plain decimal below 2^63")
	}
	return n, nil
}
