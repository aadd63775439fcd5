package trust

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// AddCheckpoint is the body of a log's request to a witness (C2SP tlog-witness, add-checkpoint):
//
//	old 3
//	PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//
//	ledger.example/2026
//	4
//	…
type AddCheckpoint struct {
	OldSize    int64
	Proof      []tlog.Hash // of consistency, from OldSize; at most MaxProofHashes, which trees below 2^62 never exceed
	Checkpoint []byte      // a signed note, not looked at
}

// ParseAddCheckpoint accepts exactly what Marshal writes. The error is ErrMalformed.
func ParseAddCheckpoint(body []byte) (AddCheckpoint, error) {
	r, err := readAddCheckpoint(body)
	if err != nil {
		return AddCheckpoint{}, fmt.Errorf("%w request: %w", ErrMalformed, err)
	}
	// The code below means to be as strict as this, and this does not depend on it.
	if !bytes.Equal(r.Marshal(), body) {
		return AddCheckpoint{}, fmt.Errorf("%w request: not in canonical form", ErrMalformed)
	}
	return r, nil
}

func readAddCheckpoint(body []byte) (r AddCheckpoint, err error) {
	// SPEC tlog-witness: "Each line MUST terminate in a newline character (U+000A)."
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	number, isOld := strings.CutPrefix(string(line), "old ")
	if !ok || !isOld {
		return r, errors.New(`line 1 wants "old " and a size`)
	}
	if r.OldSize, err = ParseDecimal(number); err != nil {
		return r, fmt.Errorf("the size in line 1 is %w", err)
	}
	for n := 2; ; n++ {
		line, rest, ok = bytes.Cut(rest, []byte("\n"))
		switch {
		case !ok:
			return r, fmt.Errorf("line %d wants a hash or the empty line, found the end", n)
		case len(line) == 0:
			if len(rest) == 0 {
				return r, errors.New("no checkpoint after the empty line")
			}
			r.Checkpoint = rest
			return r, nil
		case len(r.Proof) == MaxProofHashes:
			// SPEC tlog-witness: "The client MUST NOT send more than 63 consistency proof lines."
			return r, fmt.Errorf("more than %d proof lines", MaxProofHashes)
		}
		hash, err := parseHash(string(line))
		if err != nil {
			return r, fmt.Errorf("line %d: %w", n, err)
		}
		r.Proof = append(r.Proof, hash)
	}
}

// Marshal returns the body for POST <prefix>/add-checkpoint.
func (r AddCheckpoint) Marshal() []byte {
	out := make([]byte, 0, 32+45*len(r.Proof)+len(r.Checkpoint))
	out = fmt.Appendf(out, "old %d\n", r.OldSize)
	for _, h := range r.Proof {
		out = append(append(out, h.String()...), '\n')
	}
	out = append(out, '\n')
	return append(out, r.Checkpoint...)
}
