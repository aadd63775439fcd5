package keystore

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// helperMode makes the test binary a signing helper, a good one or one that misbehaves; see TestMain.
const helperMode = "KEYSTORE_TEST_HELPER"

func helpAs(how string) int {
	key, _ := NewKey("hsm", bytes.Repeat([]byte{7}, 32))
	text, err := io.ReadAll(os.Stdin)
	request, parseErr := jcs.Parse(text, jcs.Limits{Bytes: 2 << 20})
	if err != nil || parseErr != nil || memberText(request, "version") != helperVersion {
		return 1
	}
	public := `{"id":"hsm","public_key":"` + base64.StdEncoding.EncodeToString(key.Public()) + `"}`
	switch how {
	case "exit":
		fmt.Println(public)
		fmt.Fprintln(os.Stderr, "no card\x1b[31m")
		return 9
	case "hang":
		time.Sleep(time.Hour)
	case "grandchild": // holds our pipes after the helper has ended
		c := exec.Command("sleep", "60")
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if c.Start() != nil {
			return 1
		}
	case "flood":
		for {
			if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
				return 1
			}
		}
	case "complain":
		os.Stderr.Write(bytes.Repeat([]byte("x"), 1<<20))
	case "silent":
		return 0
	case "extra":
		public = strings.Replace(public, "{", `{"more":"","`[:10], 1)
	case "bad id":
		public = strings.Replace(public, `"hsm"`, `"../hsm"`, 1)
	case "small order":
		public = `{"id":"hsm","public_key":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`
	case "short key":
		public = `{"id":"hsm","public_key":"AAAA"}`
	case "number":
		public = `{"id":"hsm","public_key":7}`
	case "twice":
		public += "\n" + public
	}
	if memberText(request, "op") == "public" {
		fmt.Println(public)
		return 0
	}
	message, err := base64.StdEncoding.Strict().DecodeString(memberText(request, "message"))
	if err != nil {
		return 1
	}
	if how == "signs another" {
		message = append(message, 'x')
	}
	if how == "fails to sign" {
		return 1
	}
	signature, _ := key.Sign(message)
	fmt.Printf("{\"signature\":%q}\n", base64.StdEncoding.EncodeToString(signature))
	return 0
}

func helper(t *testing.T, how string) *Helper {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Helper{Argv: []string{path}, Env: append(os.Environ(), helperMode+"="+how), Timeout: 20 * time.Second}
}

func TestAHelperSigns(t *testing.T) {
	racetest.OneGoroutine(t)
	for _, how := range []string{"good", "complain"} {
		key, err := helper(t, how).Key()
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		want, _ := NewKey("hsm", bytes.Repeat([]byte{7}, 32))
		if key.ID() != "hsm" || key.Fingerprint() != want.Fingerprint() {
			t.Errorf("%v", key)
		}
		for _, message := range [][]byte{nil, []byte("m"), bytes.Repeat([]byte{0xff}, 1<<20)} {
			expected, _ := want.Sign(message)
			if signature, err := key.Sign(message); err != nil || !bytes.Equal(signature, expected) {
				t.Errorf("%d bytes: %x, %v", len(message), signature, err)
			}
		}
	}
}

func TestAHelperThatMisbehavesIsAnError(t *testing.T) {
	racetest.OneGoroutine(t)
	for how, says := range map[string]string{
		"exit": "exit status 9", "flood": "more than", "silent": "not a JSON object", "extra": "not a JSON object",
		"bad id": "signer id", "small order": "small order", "short key": "expected 32 bytes", "number": "not a JSON object",
		"twice": "not a JSON object", "hang": "no answer within",
	} {
		h := helper(t, how)
		if how == "hang" {
			h.Timeout = 200 * time.Millisecond
		}
		var talk bytes.Buffer
		h.Stderr = &talk
		key, err := h.Key()
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v; expected %q", how, key, err, says)
		}
		if again := how == "exit" || how == "hang"; errors.Is(err, ErrHelper) != again {
			t.Errorf("%s: to be tried again: %v, want %v", how, !again, again)
		}
		if how == "exit" && !strings.Contains(talk.String(), "no card") {
			t.Errorf("the helper said %q", talk.String())
		}
	}
	for how, says := range map[string]string{"signs another": "not one of key hsm", "fails to sign": "exit status 1"} {
		key, err := helper(t, how).Key()
		if err != nil {
			t.Fatal(err)
		}
		if signature, err := key.Sign([]byte("m")); err == nil || signature != nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %x, %v", how, signature, err)
		}
	}
	for _, argv := range [][]string{nil, {"relative"}, {"/nowhere/at/all"}} {
		if _, err := (&Helper{Argv: argv}).Key(); err == nil || errors.Is(err, ErrHelper) {
			t.Errorf("%q: %v", argv, err)
		}
	}
}

func TestWhatAHelperLeavesBehindKeepsNobodyWaiting(t *testing.T) {
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skip("SKIPPED: no sleep")
	}
	began := time.Now()
	if _, err := helper(t, "grandchild").Key(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestAHelpersEnvironmentIsNotPrinted(t *testing.T) {
	h := &Helper{Argv: []string{"/bin/kms", "CANARY"}, Env: []string{"AWS_SECRET=CANARY"}}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		for _, arg := range []any{h, *h, &HelperKey{helper: h}, HelperKey{helper: h}} {
			if text := fmt.Sprintf(verb, arg); strings.Contains(text, "CANARY") {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
}
