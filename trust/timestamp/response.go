package timestamp

import (
	"crypto"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"

	digitorus "github.com/digitorus/timestamp"
)

// FailureInfo is a bit of PKIFailureInfo (RFC 3161 §2.4.2): why a TSA refused.
type FailureInfo int

const (
	NoFailureInfo       FailureInfo = -1
	BadAlgorithm        FailureInfo = 0
	BadRequest          FailureInfo = 2
	BadDataFormat       FailureInfo = 5
	TimeNotAvailable    FailureInfo = 14
	UnacceptedPolicy    FailureInfo = 15
	UnacceptedExtension FailureInfo = 16
	AddInfoNotAvailable FailureInfo = 17
	SystemFailure       FailureInfo = 25
)

var failureNames = map[FailureInfo]string{
	BadAlgorithm:        "badAlg",
	BadRequest:          "badRequest",
	BadDataFormat:       "badDataFormat",
	TimeNotAvailable:    "timeNotAvailable",
	UnacceptedPolicy:    "unacceptedPolicy",
	UnacceptedExtension: "unacceptedExtension",
	AddInfoNotAvailable: "addInfoNotAvailable",
	SystemFailure:       "systemFailure",
}

func (f FailureInfo) String() string {
	if name, ok := failureNames[f]; ok {
		return name
	}
	return fmt.Sprintf("failure %d", int(f))
}

// StatusError is a response without a token: the TSA refused.
type StatusError struct {
	Status  int         // PKIStatus: 2 rejection, 3 waiting, 4 and 5 revocation
	Failure FailureInfo // NoFailureInfo: not said
	Text    string      // the TSA's words, unchecked
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("the TSA refused with status %d", e.Status)
	if e.Failure != NoFailureInfo {
		text += ", " + e.Failure.String()
	}
	if e.Text != "" {
		text += fmt.Sprintf(": %.200q", e.Text) // another's words go into logs: quoted and short
	}
	return text
}

type messageImprint struct {
	HashAlgorithm pkix.AlgorithmIdentifier
	HashedMessage []byte
}

// Request returns a DER TimeStampReq (SHA-256, certReq true) with the nonce; nil: no nonce.
func Request(digest [32]byte, nonce *big.Int) ([]byte, error) {
	// The library's CreateRequest would hash for us, and gets that wrong; Marshal only encodes.
	request := digitorus.Request{HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Nonce: nonce, Certificates: true}
	der, err := request.Marshal()
	if err != nil {
		return nil, fmt.Errorf("timestamp request: %w", err)
	}
	return der, nil
}

// ParseResponse returns the DER token of a granted response, or an error with the TSA's status
// (a *StatusError). The token is not looked into: Verify does that.
func ParseResponse(der []byte) ([]byte, error) {
	token, err := parseResponse(der)
	if err != nil {
		return nil, fmt.Errorf("timestamp response: %w", err)
	}
	return token, nil
}

func parseResponse(der []byte) ([]byte, error) {
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(der), MaxSize)
	}
	r := newReader(der)
	fields := r.enter(tagSequence, "response")
	r.end("response")
	status := parseStatus(&fields)
	var token []byte
	if fields.more() {
		token, _ = fields.element(tagSequence, "token")
	}
	fields.end("response")
	if *r.err != nil {
		return nil, *r.err
	}
	// SPEC RFC 3161 §2.4.2: "When the status contains the value zero or one, a TimeStampToken MUST
	// be present. When status contains a value other than zero or one, a TimeStampToken MUST NOT be present."
	if status.Status > 1 {
		if token != nil {
			return nil, errors.New("a refusal with a token")
		}
		return nil, status
	}
	if token == nil {
		return nil, errors.New("granted without a token")
	}
	return token, nil
}

func parseStatus(r *reader) *StatusError {
	info := r.enter(tagSequence, "status")
	status := &StatusError{Failure: NoFailureInfo}
	status.Status = int(info.number(tagInteger, 0, 5, "status"))
	if info.has(tagSequence) {
		var lines []string
		for texts := info.enter(tagSequence, "status text"); texts.more(); {
			_, line := texts.element(tagUTF8String, "status text")
			lines = append(lines, string(line))
		}
		status.Text = strings.Join(lines, "; ")
	}
	if info.has(tagBitString) {
		_, bits := info.element(tagBitString, "failure info")
		status.Failure = firstBit(bits)
	}
	info.end("status")
	return status
}

// firstBit gives the first bit set in the body of a BIT STRING, whose first byte counts the unused bits.
func firstBit(bits []byte) FailureInfo {
	for i := 8; i < 8*len(bits); i++ {
		if bits[i/8]&(0x80>>(i%8)) != 0 {
			return FailureInfo(i - 8)
		}
	}
	return NoFailureInfo
}
