package jcs

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// shared is where the vectors of the specification lie, next to the repository.
const shared = "../../../shared/vectors"

func readShared(t *testing.T, path string) []byte {
	t.Helper()
	if _, err := os.Stat(shared); err != nil {
		t.Skip("no shared vectors here: ", err)
	}
	text, err := os.ReadFile(filepath.Join(shared, path))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func unmarshalShared(t *testing.T, path string, v any) {
	t.Helper()
	if err := json.Unmarshal(readShared(t, path), v); err != nil {
		t.Fatal(err)
	}
}

func TestNumbersAreWrittenAsTheReferenceWritesThem(t *testing.T) {
	var rows []struct {
		JSON   string
		Python struct{ OK, Err string }
	}
	unmarshalShared(t, "derived/jcs_numbers.json", &rows)
	if len(rows) < 50 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		got, err := Pack(nil, []byte(row.JSON), Limits{})
		if row.Python.Err != "" {
			if !errors.Is(err, ErrNumber) {
				t.Errorf("Pack(%s) = %s, %v, want ErrNumber", row.JSON, got, err)
			}
		} else if err != nil || string(got) != row.Python.OK {
			t.Errorf("Pack(%s) = %s, %v, want %s", row.JSON, got, err, row.Python.OK)
		}
	}
}

func TestFloatsAreWrittenAsTheReferenceWritesThem(t *testing.T) {
	var rows [][2]string
	unmarshalShared(t, "derived/jcs_floats.json", &rows)
	if len(rows) < 5000 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		raw, err := hex.DecodeString(row[0])
		if err != nil {
			t.Fatal(err)
		}
		f := math.Float64frombits(binary.BigEndian.Uint64(raw))
		if got := string(appendPackFloat(nil, f)); got != row[1] {
			t.Errorf("%s: got %s, want %s", row[0], got, row[1])
		}
		// Read from 17 digits and exponent it must come out the same.
		token := strconv.FormatFloat(f, 'e', 16, 64)
		if got, err := Pack(nil, []byte(token), Limits{}); err != nil || string(got) != row[1] {
			t.Errorf("Pack(%s) = %s, %v, want %s", token, got, err, row[1])
		}
	}
}

func TestStringsAreWrittenAsTheReferenceWritesThem(t *testing.T) {
	var rows []struct {
		Input string
		Want  string `json:"canonical_utf8_hex"`
	}
	unmarshalShared(t, "derived/jcs_strings.json", &rows)
	if len(rows) < 15 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		want, _ := hex.DecodeString(row.Want)
		got, err := AppendPack(nil, Str(row.Input))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("AppendPack(%q) = %q, %v, want %q", row.Input, got, err, want)
		}
	}
}

func TestNamesAreSortedByUTF16CodeUnits(t *testing.T) {
	var row struct {
		In   []string `json:"keys_in"`
		Want string   `json:"canonical_utf8_hex"`
	}
	unmarshalShared(t, "derived/jcs_key_order.json", &row)
	want, _ := hex.DecodeString(row.Want)
	plain, escaped := "{", "{"
	object := Value{Kind: Object}
	for i, name := range row.In {
		if i > 0 {
			plain, escaped = plain+",", escaped+","
		}
		quoted, err := AppendPack(nil, Str(name))
		if err != nil {
			t.Fatal(err)
		}
		ascii, err := AppendPython(nil, Str(name))
		if err != nil {
			t.Fatal(err)
		}
		plain += fmt.Sprintf("%s:%d", quoted, i)
		escaped += fmt.Sprintf("%s:%d", ascii, i)
		object.Members = append(object.Members, M(name, Int(int64(i))))
	}
	for _, text := range []string{plain + "}", escaped + "}"} {
		if got, err := Pack(nil, []byte(text), Limits{}); err != nil || !bytes.Equal(got, want) {
			t.Errorf("Pack(%s) = %s, %v", text, got, err)
		}
	}
	if got, err := AppendPack(nil, object); err != nil || !bytes.Equal(got, want) {
		t.Errorf("AppendPack = %s, %v", got, err)
	}
}

func TestJSONTestSuite(t *testing.T) {
	const dir = "third-party/jsontestsuite/test_parsing"
	readShared(t, "README.md")
	files, err := os.ReadDir(filepath.Join(shared, dir))
	if err != nil || len(files) < 300 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	duplicates := 0
	for _, file := range files {
		text := readShared(t, filepath.Join(dir, file.Name()))
		_, err := Parse(text, Limits{Depth: 512})
		_, packErr := Pack(nil, text, Limits{Depth: 512})
		switch {
		case strings.HasPrefix(file.Name(), "y_") && errors.Is(err, ErrDuplicate):
			duplicates++ // refused on purpose
		case strings.HasPrefix(file.Name(), "y_") && (err != nil || packErr != nil):
			t.Errorf("%s: %v, %v", file.Name(), err, packErr)
		case strings.HasPrefix(file.Name(), "n_") && (err == nil || packErr == nil):
			t.Errorf("%s is accepted", file.Name())
		}
	}
	if duplicates != 2 {
		t.Errorf("%d files refused for a duplicate name, want 2", duplicates)
	}
}

func TestRFC8785PublishedFiles(t *testing.T) {
	const dir = "third-party/rfc8785"
	readShared(t, "README.md")
	files, err := os.ReadDir(filepath.Join(shared, dir, "input"))
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		input := readShared(t, filepath.Join(dir, "input", file.Name()))
		want := bytes.TrimSpace(readShared(t, filepath.Join(dir, "output", file.Name())))
		if got, err := RFC8785(input, Limits{}); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %s, %v, want %s", file.Name(), got, err, want)
		}
		// The pack profile differs in the exponent alone.
		want = bytes.ReplaceAll(bytes.ReplaceAll(want, []byte("e+"), []byte("E")), []byte("1e-27"), []byte("1E-27"))
		if got, err := Pack(nil, input, Limits{}); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: pack profile: got %s, %v, want %s", file.Name(), got, err, want)
		}
	}
}

func TestEveryLineOfTheHonestPacksIsAPackLine(t *testing.T) {
	readShared(t, "README.md")
	files, err := filepath.Glob(filepath.Join(shared, "packs", "*", "receipt_pack.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no packs: %v", err)
	}
	lines := 0
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		honest := strings.HasPrefix(name, "pass_") || strings.HasPrefix(name, "claim") || strings.HasPrefix(name, "sameroot_") ||
			strings.HasPrefix(name, "div_u2028_")
		if !honest {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			lines++
			if _, ok, err := IsPackLine(bytes.TrimSuffix(line, []byte("\n")), Limits{}); err != nil || !ok {
				t.Errorf("%s: %v, %v: %s", name, ok, err, line)
			}
		}
	}
	if lines < 1500 {
		t.Errorf("%d lines", lines)
	}
}

func TestReferenceManifestsAndReportsArePrettyJSON(t *testing.T) {
	readShared(t, "README.md")
	for _, name := range []string{"pack_manifest.json", "verify_report.json"} {
		files, err := filepath.Glob(filepath.Join(shared, "packs", "pass_*", name))
		if err != nil || len(files) < 10 {
			t.Fatalf("%d files, %v", len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			v, err := Parse(text, Limits{})
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if got, err := AppendPretty(nil, v); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s is not what AppendPretty writes: %v", file, err)
			}
		}
	}
}
