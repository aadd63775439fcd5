package timestamp

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzVerify looks for panics, and for bytes that are believed although they say something else
// than the one token of this world.
func FuzzVerify(f *testing.F) {
	o, tokens := loadTokens(f)
	for _, s := range tokens {
		f.Add(s.der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		token, err := Verify(der, testDigest, o)
		if err != nil {
			return
		}
		if !token.Time.Equal(testTime) || token.Signer != "CN=tsa" || !bytes.Equal(token.DER, der) {
			t.Errorf("believed: %+v", token)
		}
	})
}

func FuzzParseTSTInfo(f *testing.F) {
	_, tokens := loadTokens(f)
	for _, s := range tokens {
		if signed, err := parseSignedData(s.der); err == nil {
			f.Add(signed.content)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		info, err := parseTSTInfo(der)
		if err == nil && (info.time.Unix() < 0 || info.accuracy < 0 || info.serial == nil || len(info.policy) < 2) {
			t.Errorf("% x: %+v", der, info)
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	_, tokens := loadTokens(f)
	f.Add(response(f, tokens[0].der))
	for failure := range failureNames {
		f.Add(rejection(failure, "no"))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		token, err := ParseResponse(der)
		if err != nil {
			_ = err.Error()
			return
		}
		if !bytes.HasSuffix(der, token) || len(token) < 2 || token[0] != tagSequence {
			t.Errorf("% x: token % x", der, token)
		}
	})
}

// FuzzRespond holds the authority to its word: every answer parses, and a granted one verifies.
func FuzzRespond(f *testing.F) {
	a := newTestAuthority(f)
	roots := a.roots(f)
	f.Add(must(Request(testDigest, testNonce)))
	f.Add(must(Request(testDigest, nil)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, request []byte) {
		der, err := ParseResponse(a.Respond(request, testTime))
		if refused := (*StatusError)(nil); errors.As(err, &refused) {
			return
		}
		if err != nil {
			t.Fatalf("% x: %v", request, err)
		}
		q, _, err := parseRequest(request)
		if err != nil {
			t.Fatalf("% x: granted, although %v", request, err)
		}
		if !q.certReq {
			return
		}
		if _, err := Verify(der, [32]byte(q.imprint.digest), Options{Roots: roots, Nonce: q.nonce}); err != nil {
			t.Errorf("% x: %v", request, err)
		}
	})
}

func FuzzParseAuthority(f *testing.F) {
	text := must(newTestAuthority(f).MarshalPEM())
	f.Add(text)
	f.Add(bytes.TrimSpace(text))
	f.Fuzz(func(t *testing.T, text []byte) {
		if a, err := ParseAuthority(text); err == nil && !bytes.Equal(must(a.MarshalPEM()), text) {
			t.Errorf("%q is not what it marshals to", text)
		}
	})
}
