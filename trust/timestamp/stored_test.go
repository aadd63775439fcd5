package timestamp

import (
	"bytes"
	"encoding/pem"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "mint testdata/tokens.pem anew")

// storedTokens is a PEM file: the root certificate, then a TIMESTAMP TOKEN each for the good
// token and the attacks, with headers that say its name and what the error must contain. The
// other tests mint with new keys each time; these tokens stay, so that what verified once
// verifies for ever, and so that fuzzing starts from bytes that verify in every process.
const storedTokens = "testdata/tokens.pem"

const maxStored = 4 << 10

type storedToken struct {
	name, want string // want "": good
	der        []byte
}

func TestStoredTokensAreJudgedAsEver(t *testing.T) {
	if *update {
		storeTokens(t)
	}
	o, tokens := loadTokens(t)
	believed := 0
	for _, s := range tokens {
		token, err := Verify(s.der, testDigest, o)
		switch {
		case s.want != "" && err == nil:
			t.Errorf("%s: believed", s.name)
		case s.want != "" && !strings.Contains(err.Error(), s.want):
			t.Errorf("%s: %v, want %q", s.name, err, s.want)
		case s.want == "" && err != nil:
			t.Errorf("%s: %v", s.name, err)
		case s.want == "" && token.Time.Equal(testTime):
			believed++
		}
	}
	if believed != 1 || len(tokens) < 40 {
		t.Errorf("%d tokens, %d believed; want many and one", len(tokens), believed)
	}
}

func loadTokens(t testing.TB) (Options, []storedToken) {
	t.Helper()
	text, err := os.ReadFile(storedTokens)
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions(poolOf())
	if !o.Roots.AppendCertsFromPEM(text) {
		t.Fatal("no root certificate")
	}
	_, text = pem.Decode(text)
	var tokens []storedToken
	for len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		if block == nil {
			t.Fatalf("%s: not PEM at %.40q", storedTokens, text)
		}
		tokens = append(tokens, storedToken{block.Headers["Name"], block.Headers["Want"], block.Bytes})
		text = rest
	}
	return o, tokens
}

func storeTokens(t *testing.T) {
	w := newWorld(t)
	out := pemOf(w.root.cert)
	add := func(name, want string, der []byte) {
		headers := map[string]string{"Name": name}
		if want != "" {
			headers["Want"] = want
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "TIMESTAMP TOKEN", Headers: headers, Bytes: der})...)
	}
	add("good", "", newMint(t, w.tsa).token())
	for _, a := range w.attacks(t) {
		if token, _ := a.token(t, w); a.options == nil && len(token) <= maxStored {
			add(a.name, a.want, token)
		}
	}
	if err := os.WriteFile(storedTokens, out, 0o644); err != nil {
		t.Fatal(err)
	}
}
