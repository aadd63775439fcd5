package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// Request is the body of add-checkpoint:
//
//	old 3
//	PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
//
//	ledger.example/2026
//	4
//	…
type Request struct {
	OldSize    int64
	Proof      []tlog.Hash // at most 63
	Checkpoint []byte      // a signed note, not looked at yet
}

// maxProof is the longest consistency proof.
// SPEC tlog-witness: "The client MUST NOT send more than 63 consistency proof lines."
const maxProof = 63

// ParseRequest accepts exactly what Marshal writes; anything else is a *Refusal with status 400.
func ParseRequest(body []byte) (Request, error) {
	r, err := parseRequest(body)
	if err != nil {
		return Request{}, &Refusal{Status: http.StatusBadRequest, Err: err}
	}
	if !bytes.Equal(r.Marshal(), body) {
		return Request{}, refuse(http.StatusBadRequest, "request is not in its canonical form")
	}
	return r, nil
}

func parseRequest(body []byte) (r Request, err error) {
	// SPEC tlog-witness: "Each line MUST terminate in a newline character (U+000A)."
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	number, isOld := strings.CutPrefix(string(line), "old ")
	if !ok || !isOld {
		return r, errors.New(`request line 1 wants "old " and a size`)
	}
	// Signs and leading zeros that ParseInt takes do not survive the comparison with Marshal.
	if r.OldSize, err = strconv.ParseInt(number, 10, 64); err != nil || r.OldSize < 0 {
		return r, errors.New("request line 1 wants a decimal size from 0 to 2^63-1")
	}
	for n := 2; ; n++ {
		line, rest, ok = bytes.Cut(rest, []byte("\n"))
		switch {
		case !ok:
			return r, fmt.Errorf("request line %d wants a hash or the empty line, found the end", n)
		case len(line) == 0:
			if len(rest) == 0 {
				return r, errors.New("request has no checkpoint after the empty line")
			}
			r.Checkpoint = rest
			return r, nil
		case len(r.Proof) == maxProof:
			return r, fmt.Errorf("request has more than %d proof lines", maxProof)
		}
		hash, err := base64.StdEncoding.Strict().DecodeString(string(line))
		if err != nil || len(hash) != tlog.HashSize {
			return r, fmt.Errorf("request line %d wants 32 bytes of base64", n)
		}
		r.Proof = append(r.Proof, tlog.Hash(hash))
	}
}

// Marshal returns the body for POST <prefix>/add-checkpoint.
func (r Request) Marshal() []byte {
	out := make([]byte, 0, 32+45*len(r.Proof)+len(r.Checkpoint))
	out = fmt.Appendf(out, "old %d\n", r.OldSize)
	for _, h := range r.Proof {
		out = base64.StdEncoding.AppendEncode(out, h[:])
		out = append(out, '\n')
	}
	out = append(out, '\n')
	return append(out, r.Checkpoint...)
}

// Refusal is the answer to a request that gets no cosignature.
type Refusal struct {
	Status int   // HTTP status as tlog-witness assigns it
	Size   int64 // with 409: the size of the last cosigned checkpoint
	Err    error // why; safe to show to the one who asked
}

func (r *Refusal) Error() string { return "witness refuses: " + r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(status int, format string, args ...any) error {
	return &Refusal{Status: status, Err: fmt.Errorf(format, args...)}
}
