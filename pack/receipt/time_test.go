package receipt

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

// sharedVector reads a file of the shared vectors, which are not part of the repository.
func sharedVector(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../../shared/vectors/derived/" + name)
	if err != nil {
		t.Skipf("SKIPPED: the shared vectors are not here: %v", err)
	}
	return text
}

func TestReceiptTimesAreThoseCPythonReads(t *testing.T) {
	var cases []map[string]any
	if err := json.Unmarshal(sharedVector(t, "receipt_timestamps.json"), &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 40 {
		t.Fatalf("%d cases, expected at least 40", len(cases))
	}
	for _, c := range cases {
		for _, version := range []string{"3.11.7", "3.12.1", "3.13.0"} {
			if got := IsTime(c["timestamp"].(string)); got != c[version] {
				t.Errorf("%q: %v, CPython %s says %v", c["timestamp"], got, version, c[version])
			}
		}
	}
}

// RCP-7
func TestReceiptTimes(t *testing.T) {
	for _, c := range []struct {
		texts string
		want  bool
	}{
		// Dates.
		{"2026-01-15|20260115|2026-W03|2026W03|2026-W03-4|2026W034|2020-W53-7|0001-01-01|9999-12-31|2024-02-29", true},
		{"|2026|2026-01|2026-1-15|2026-0115|2026-W034|202601-15|2026-02-29|1900-02-29|2026-13-01|2026-00-01|2026-01-00|0000-01-01", false},
		{"10000-01-01|2026-015|2026015|2026-W00|2026-W54|2025-W53|2026-W03-0|2026-W03-8|9999-W53|2026-01-15T|2026-01-15é", false},
		// Clocks, and the character before them.
		{"2026-01-15T11|2026-01-15T11:00|2026-01-15T11:00:00|2026-01-15T1100|2026-01-15T110000|20260115T110000Z", true},
		{"2026-01-15 11:00|2026-01-15t11:00|2026-01-15_11:00|2026-01-15€11:00|2026-01-15😀11:00|2026-W03-4T11:00|2026-W03-1100|2026-W03€11:00|2026-W03😀11:00|2026W03€11:00", true},
		{"2026-01-15T24:00|2026-01-15T23:60|2026-01-15T23:59:60|2026-01-15T1|2026-01-15T11:0|2026-01-15T11:00:|2026-01-15T11:0000", false},
		// Fractions.
		{"2026-01-15T11:00:00.1|2026-01-15T11:00:00,5|2026-01-15T11:00:00.123456789|2026-01-15T110000.5|2026-01-15T110000123456", true},
		{"2026-01-15T11:00:00.|2026-01-15T11:00:00.x|2026-01-15T11:00:00.12x", false},
		// Offsets. The stray characters are CPython's leniency.
		{"2026-01-15T11Z|2026-01-15T11:00+05|2026-01-15T11:00+0530|2026-01-15T11:00-05:30:15.5|2026-01-15T11:00+23:59", true},
		{"2026-01-15T11:00:00.Z|2026-01-15T11:00:00 Z|2026-01-15T11:00:00.123456xyzZ|2026-01-15T11:00+05:99", true},
		{"2026-01-15T11:00z|2026-01-15T11:00ZZ|2026-01-15T11:00+24:00|2026-01-15T11:00+|2026-01-15T11:00+5|2026-01-15TZ", false},
		{" 2026-01-15|2026-01-15T11:00Z |2026-01-15T11:00:00\x00|2026-01-15\xff11:00|True|1736938800", false},
	} {
		for _, text := range strings.Split(c.texts, "|") {
			if got := IsTime(text); got != c.want {
				t.Errorf("%q: %v, want %v", text, got, c.want)
			}
		}
	}
	if long := "2026-01-15T11:00:00." + strings.Repeat("0", form.MaxTime); IsTime(long) {
		t.Error("a timestamp without end was read")
	}
}

func FuzzReceiptTime(f *testing.F) {
	f.Add("2026-01-15T11:00:00.123456+05:30")
	f.Add("2026-W03-4T11Z")
	f.Add("2026W03\xf0")
	f.Fuzz(func(t *testing.T, s string) {
		if IsTime(s) && len(s) > form.MaxTime {
			t.Errorf("%d bytes were read", len(s))
		}
	})
}

// Every time of the schema is RFC 3339, and a receipt may carry it.
func FuzzSchemaTime(f *testing.F) {
	f.Add("2026-01-15T11:00:00.123456+05:30")
	f.Add("2026-01-15T11:00:00Z")
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := form.ParseDateTime(s)
		if !ok {
			return
		}
		want, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || !at.Equal(want) {
			t.Errorf("%q is %v, RFC 3339 says %v %v", s, at, want, err)
		}
		if !IsTime(s) {
			t.Errorf("%q is a schema time but no receipt time", s)
		}
	})
}
