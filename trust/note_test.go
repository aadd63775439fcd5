package trust

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// line makes a signature line of a name and a blob, whatever they are.
func line(name string, blob []byte) string {
	return signaturePrefix + name + " " + base64.StdEncoding.EncodeToString(blob) + "\n"
}

var blob = []byte("\x01\x02\x03\x04signature")

// ENT-19
func TestNoteIsSplitAtTheLastBlankLine(t *testing.T) {
	sig := line("example.com/log", blob)
	for _, test := range []struct{ note, text string }{
		{"text\n\n" + sig, "text\n"},
		{"text\n\n" + sig + sig, "text\n"},
		{"two\n\nparagraphs\n\n" + sig, "two\n\nparagraphs\n"},
		{"text\n\n\n" + sig, "text\n\n"},
		{"\n\n" + sig, "\n"},
		{"text\n\n" + sig + "\n" + sig, "text\n\n" + sig}, // the first line is text
	} {
		text, signatures, err := splitNote([]byte(test.note))
		if err != nil || string(text) != test.text || len(signatures) == 0 {
			t.Errorf("%q: text %q, %d signatures, error %v", test.note, text, len(signatures), err)
		}
	}
	for name, note := range map[string]string{
		"empty":                          "",
		"no blank line":                  "text\n" + sig,
		"no signature":                   "text\n\n",
		"no text":                        "\n" + sig,
		"no newline at the end":          "text\n\n" + strings.TrimSuffix(sig, "\n"),
		"blank line at the end":          "text\n\n" + sig + "\n",
		"hyphen for em dash":             "text\n\n" + strings.Replace(sig, "—", "-", 1),
		"en dash for em dash":            "text\n\n" + strings.Replace(sig, "—", "–", 1),
		"two spaces after the dash":      "text\n\n" + strings.Replace(sig, "— ", "—  ", 1),
		"space before the dash":          "text\n\n " + sig,
		"neither dash nor space":         "text\n\n" + strings.TrimPrefix(sig, "— "),
		"no dash":                        "text\n\n" + strings.TrimPrefix(sig, "—"),
		"no space after the dash":        "text\n\n" + strings.Replace(sig, "— ", "—", 1),
		"two spaces after the name":      "text\n\n" + strings.Replace(sig, "log ", "log  ", 1),
		"space at the end":               "text\n\n" + strings.Replace(sig, "\n", " \n", 1),
		"third item":                     "text\n\n" + strings.Replace(sig, "\n", " x\n", 1),
		"no base64":                      "text\n\n— example.com/log\n",
		"text after the signature lines": "text\n\n" + sig + "text\n",
		"no-break space after the name":  "text\n\n" + strings.Replace(sig, "log ", "log\u00a0", 1),
	} {
		if _, _, err := splitNote([]byte(note)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// ENT-18
func TestControlCharactersAndBadUTF8AreRefusedAnywhere(t *testing.T) {
	note := "text\n\n" + line("example.com/log", blob)
	if _, _, err := splitNote([]byte(note)); err != nil {
		t.Fatal(err)
	}
	bad := []string{"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x80"}
	for b := range byte(0x20) {
		if b != '\n' {
			bad = append(bad, string(rune(b)))
		}
	}
	for _, s := range bad {
		for i := range len(note) + 1 {
			if _, _, err := splitNote([]byte(note[:i] + s + note[i:])); !errors.Is(err, ErrMalformed) {
				t.Errorf("%q at %d: %v", s, i, err)
			}
		}
	}
}

// ENT-15
func TestKeyNamesHaveNoSpaceAndNoPlus(t *testing.T) {
	for _, name := range []string{"example.com/log", "x", "ключ", "a=b", "—", "oid/1.2.3"} {
		if _, _, err := splitNote([]byte("text\n\n" + line(name, blob))); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "a+b", "+", "a\u00a0b", "a\u0085b", "a\u1680b", "\u2003", "a\u2028b", "a\u3000", "a b"} {
		if _, _, err := splitNote([]byte("text\n\n" + line(name, blob))); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", name, err)
		}
		if _, _, err := GenerateKey(nil, name, Ed25519); err == nil {
			t.Errorf("key with the name %q made", name)
		}
	}
}

// ENT-19
func TestSignatureWithoutRoomForAKeyIDIsRefused(t *testing.T) {
	for n := range 10 {
		_, _, err := splitNote([]byte("text\n\n" + line("example.com/log", make([]byte, n))))
		if refused := errors.Is(err, ErrMalformed); refused != (n < 5) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// ENT-1
func TestBase64HasOneSpelling(t *testing.T) {
	if b, err := DecodeBase64("AAECAwQ="); err != nil || !bytes.Equal(b, []byte{0, 1, 2, 3, 4}) {
		t.Errorf("%v, %v", b, err)
	}
	for _, s := range []string{"AAECAwQ", "AAECAwR=", "AAECAwQ==", "AAECAw\nQ=", "AAECAwQ=\n", "\rAAECAwQ=", "AAECAw-=", " AAECAwQ=", "AAECAwQ=AAEC", "="} {
		if _, err := DecodeBase64(s); err == nil {
			t.Errorf("%q decoded", s)
		}
	}
}

// ENT-2
func TestDecimalsHaveOneSpelling(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "7": 7, "9223372036854775807": 1<<63 - 1} {
		if n, err := ParseDecimal(s); err != nil || n != want {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
	for _, s := range []string{"", "00", "07", "+7", "-0", "-7", " 7", "7 ", "7.0", "1e3", "0x7", "1_000", "٧", "9223372036854775808", "18446744073709551616"} {
		if n, err := ParseDecimal(s); err == nil {
			t.Errorf("%q: %d", s, n)
		}
	}
}

// ENT-19
func TestSixteenPostQuantumSignaturesFitAndThereIsABound(t *testing.T) {
	var lines strings.Builder
	for i := range MaxSignatureLines {
		lines.WriteString(line(fmt.Sprintf("witness%d.example", i), make([]byte, 4+5000)))
		note := "text\n\n" + lines.String()
		if _, signatures, err := splitNote([]byte(note)); err != nil || len(signatures) != i+1 {
			t.Fatalf("%d signatures of 5,000 bytes: %d, %v", i+1, len(signatures), err)
		}
	}
	lines.WriteString(line("one.more.example", blob))
	if _, _, err := splitNote([]byte("text\n\n" + lines.String())); !errors.Is(err, ErrMalformed) {
		t.Errorf("%d signatures: %v", MaxSignatureLines+1, err)
	}
	sig := line("example.com/log", blob)
	text := strings.Repeat("x", MaxSize-len(sig)-2)
	if _, _, err := splitNote([]byte(text + "\n\n" + sig)); err != nil {
		t.Errorf("note of 1 MiB: %v", err)
	}
	if _, _, err := splitNote([]byte("x" + text + "\n\n" + sig)); !errors.Is(err, ErrMalformed) {
		t.Errorf("note of 1 MiB and a byte: %v", err)
	}
}

// The specification's own example, made by another implementation.
//
// ENT-14
func TestExampleOfTheSpecificationVerifies(t *testing.T) {
	key, err := parseVKey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	if err != nil {
		t.Fatal(err)
	}
	text, signatures, err := splitNote([]byte("This is an example message.\n\n" +
		"— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"))
	if err != nil {
		t.Fatal(err)
	}
	if signatures[0].keyRef != key.keyRef {
		t.Errorf("the line is of %v, the key is %v", signatures[0].keyRef, key.keyRef)
	}
	if !key.verifyLog(nil, text, signatures[0].blob) {
		t.Error("the example does not verify")
	}
	if key.verifyLog(nil, append(text, 'x'), signatures[0].blob) {
		t.Error("another text verifies")
	}
}

func FuzzSplitNote(f *testing.F) {
	f.Add([]byte("text\n\n" + line("example.com/log", blob)))
	f.Add([]byte("a\n\nb\n\n" + line("example.com/log", blob) + line("x", make([]byte, 76))))
	f.Add([]byte("\n\n— x AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, note []byte) {
		text, signatures, err := splitNote(note)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		again := append(bytes.Clone(text), '\n')
		for _, s := range signatures {
			again = append(again, formatSignature(s.keyRef, s.blob)...)
		}
		if !bytes.Equal(again, note) {
			t.Errorf("written again: %q", again)
		}
	})
}

func sources(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := slices.DeleteFunc(all, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	if len(files) == 0 {
		t.Fatal("no source files")
	}
	return files
}

func TestThePackageHasNoNetworkFilesLoggerOrClock(t *testing.T) {
	for _, file := range sources(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range parsed.Imports {
			path := strings.Trim(imported.Path.Value, `"`)
			if slices.Contains([]string{"os", "log", "log/slog", "net", "net/http", "context", "os/exec", "io/fs"}, path) {
				t.Errorf("%s imports %s", file, path)
			}
		}
		for _, call := range []string{"time.Now(", "time.Since(", "func init("} {
			if bytes.Contains(text, []byte(call)) {
				t.Errorf("%s has %s", file, call)
			}
		}
	}
	deps, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, path := range strings.Fields(string(deps)) {
		if slices.Contains([]string{"net/http", "net", "log", "log/slog"}, path) {
			t.Errorf("the package links %s", path)
		}
	}
}
