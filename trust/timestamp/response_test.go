package timestamp

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"

	digitorus "github.com/digitorus/timestamp"
)

// ENT-46, API-27
func TestRequestIsWhatAnotherImplementationReads(t *testing.T) {
	for _, nonce := range []*big.Int{nil, new(big.Int), big.NewInt(1), testNonce, new(big.Int).SetUint64(1<<64 - 1)} {
		der, err := Request(testDigest, nonce)
		if err != nil {
			t.Fatal(err)
		}
		got, err := digitorus.ParseRequest(der)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.HashedMessage, testDigest[:]) || got.HashAlgorithm.String() != "SHA-256" || !got.Certificates {
			t.Errorf("nonce %v: read as %+v", nonce, got)
		}
		if (got.Nonce == nil) != (nonce == nil) || nonce != nil && got.Nonce.Cmp(nonce) != 0 {
			t.Errorf("nonce %v: read as %v", nonce, got.Nonce)
		}
		// And the other way round: what it writes is what we write.
		again, err := got.Marshal()
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("nonce %v: it writes % x, we % x (%v)", nonce, again, der, err)
		}
	}
}

// API-28
func TestParseResponseKnowsEveryStatus(t *testing.T) {
	token := []byte{tagSequence, 2, tagNull, 0}
	answer := func(status int, token []byte) []byte {
		return mustMarshal(t, timeStampResp{Status: pkiStatusInfo{Status: status}, Token: asn1.RawValue{FullBytes: token}}, "")
	}
	for status := range 6 {
		got, err := ParseResponse(answer(status, token))
		if granted := status <= 1; granted && (err != nil || !bytes.Equal(got, token)) || !granted && err == nil {
			t.Errorf("status %d with a token: % x, %v", status, got, err)
		}
		got, err = ParseResponse(answer(status, nil))
		if err == nil {
			t.Errorf("status %d without a token: % x", status, got)
		}
		refused := (*StatusError)(nil)
		if errors.As(err, &refused) != (status > 1) || status > 1 && (refused.Status != status || refused.Failure != NoFailureInfo) {
			t.Errorf("status %d without a token: %#v", status, err)
		}
	}
	for name, der := range map[string][]byte{
		"status 6":       answer(6, token),
		"status -1":      answer(-1, token),
		"trailing byte":  append(answer(0, token), 0),
		"two tokens":     {tagSequence, 13, tagSequence, 3, tagInteger, 1, 0, tagSequence, 2, tagNull, 0, tagSequence, 0},
		"empty":          {},
		"empty sequence": {tagSequence, 0},
		"indefinite":     {tagSequence, 0x80, tagSequence, 3, tagInteger, 1, 0, 0, 0},
		"too large":      answer(0, append([]byte{tagSequence, 0x83, 1, 0, 0}, make([]byte, 1<<16)...)),
	} {
		if got, err := ParseResponse(der); err == nil {
			t.Errorf("%s: % x", name, got)
		}
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	for failure, name := range failureNames {
		ours := rejection(failure, "because")
		theirs, err := digitorus.CreateErrorResponse(digitorus.Rejection, digitorus.FailureInfo(failure))
		if err != nil {
			t.Fatal(err)
		}
		for _, der := range [][]byte{ours, theirs} {
			_, err := ParseResponse(der)
			refused := (*StatusError)(nil)
			if !errors.As(err, &refused) || refused.Status != 2 || refused.Failure != failure || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: % x: %v", name, der, err)
			}
		}
		if _, err := digitorus.ParseResponse(ours); err == nil || !strings.Contains(err.Error(), digitorus.FailureInfo(failure).String()) {
			t.Errorf("%s: another implementation reads %v", name, err)
		}
	}
}

func TestTheWordsOfATSAAreQuotedAndCut(t *testing.T) {
	_, err := ParseResponse(rejection(BadRequest, "line\nbreak \x1b[31m"+strings.Repeat("x", 5000)))
	if err == nil || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 512 {
		t.Errorf("got %v", err)
	}
}

// RFC 3161: PKIFailureInfo is a BIT STRING, DER without trailing zero bits; the first bit set is told.
func TestEveryFailureHasANameOrItsNumber(t *testing.T) {
	for bit := range 40 {
		bits := make([]byte, 1+bit/8+1)
		bits[0] = byte(7 - bit%8)
		bits[1+bit/8] = 0x80 >> (bit % 8)
		if f := firstBit(bits); int(f) != bit {
			t.Errorf("bit %d: %v", bit, f)
		}
	}
	for _, none := range [][]byte{nil, {}, {0}, {7}, {0, 0}, {0, 0, 0, 0, 0}} {
		if f := firstBit(none); f != NoFailureInfo {
			t.Errorf("% x: %v", none, f)
		}
	}
	for f, want := range map[FailureInfo]string{ // the numbers of RFC 3161 §2.4.2
		0: "badAlg", 2: "badRequest", 5: "badDataFormat", 14: "timeNotAvailable", 15: "unacceptedPolicy",
		16: "unacceptedExtension", 17: "addInfoNotAvailable", 25: "systemFailure", 1: "failure 1", 31: "failure 31",
	} {
		if f.String() != want {
			t.Errorf("failure %d is %q, want %q", int(f), f, want)
		}
	}
}
