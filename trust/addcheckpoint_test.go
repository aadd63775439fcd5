package trust_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust"
)

const hashLine = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"

func TestRequestsRoundTrip(t *testing.T) {
	for _, r := range []trust.AddCheckpoint{
		{Checkpoint: []byte("x")},
		{OldSize: 1<<63 - 1, Proof: make([]tlog.Hash, 63), Checkpoint: []byte("\n\nnot looked at")},
	} {
		got, err := trust.ParseAddCheckpoint(r.Marshal())
		if err != nil || got.OldSize != r.OldSize || len(got.Proof) != len(r.Proof) || !bytes.Equal(got.Checkpoint, r.Checkpoint) {
			t.Errorf("%q became %+v, %v", r.Marshal(), got, err)
		}
	}
}

func TestRequestsInAnyOtherFormAreRefused(t *testing.T) {
	for _, body := range []string{
		"", "\n", "old 0", "old 0\n", "old 0\n\n", "old\n\nx", "old \n\nx", "Old 0\n\nx", " old 0\n\nx", "\nold 0\n\nx",
		"old 00\n\nx", "old 010\n\nx", "old +1\n\nx", "old -1\n\nx", "old -0\n\nx", "old 1_0\n\nx", "old 0x1\n\nx", "old 1.0\n\nx",
		"old  1\n\nx", "old 1 \n\nx", "old 1 junk\n\nx", "old\t1\n\nx", "old 1\r\n\r\nx", "old 1\n\r\nx",
		"old 9223372036854775808\n\nx", "old 99999999999999999999\n\nx", "old ١\n\nx",
		"old 1\n" + hashLine, "old 1\n" + hashLine + "\n", "old 1\n" + hashLine + "x",
		"old 1\n" + strings.Repeat(hashLine, 64) + "\nx",
		"old 1\n" + hashLine[:40] + "\n\nx",                            // bad length
		"old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpka==\n\nx",     // 31 bytes
		"old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkax=\n\nx",     // spare bits set
		"old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw\n\nx",      // no padding
		"old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpka-=\n\nx",     // URL alphabet
		"old 1\n" + hashLine[:len(hashLine)-1] + " \n\nx",              // space
		"old 1\n" + hashLine[:len(hashLine)-1] + "\r\n\nx",             // a return, which base64 skips
		"old 1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9te\rmvuZZDDpkaw=\n\nx",   // the same inside
		"old 1\n" + strings.Repeat("A", 64<<10) + "\n\nx",              // a long line
		"old 1\n" + hashLine[:len(hashLine)-1] + hashLine + "\nx",      // two on a line
		"\xef\xbb\xbfold 1\n\nx", "old 1\x00\n\nx", "old 1\n\x00\n\nx", // BOM, NUL
	} {
		_, err := trust.ParseAddCheckpoint([]byte(body))
		if !errors.Is(err, trust.ErrMalformed) {
			t.Errorf("%.80q: got %v", body, err)
		}
	}
}

func TestARefusedRequestNamesTheLine(t *testing.T) {
	for body, want := range map[string]string{
		"new 0\n\nx":                             "line 1 ",
		"old x\n\nx":                             "line 1 ",
		"old 1\nx\n\nx":                          "line 2: ",
		"old 1\n" + hashLine + "x\n\nx":          "line 3: ",
		"old 1\n" + hashLine + hashLine + "x\n":  "line 4: ",
		"old 1\n" + hashLine + hashLine:          "line 4 ",
		"old 1\n":                                "line 2 ",
		"old 1\n" + hashLine + "\n":              "no checkpoint",
		"old 1\n" + strings.Repeat(hashLine, 64): "more than 63",
	} {
		if _, err := trust.ParseAddCheckpoint([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want %q", body, err, want)
		}
	}
}

// The bytes are those of the specification, whatever the other half of the protocol reads.
func TestARequestToAWitnessIsWhatAWitnessReads(t *testing.T) {
	note := "ledger.example/2026\n3\n" + trust.EmptyRoot.String() + "\n\n— x AAAAAAA=\n"
	hashes := make([]tlog.Hash, 64)
	lines := ""
	for n := range hashes {
		for _, old := range []int64{0, 1, 1<<63 - 1} {
			want := fmt.Sprintf("old %d\n%s\n%s", old, lines, note)
			if body := (trust.AddCheckpoint{OldSize: old, Proof: hashes[:n], Checkpoint: []byte(note)}).Marshal(); string(body) != want {
				t.Errorf("%d hashes from %d: %q, want %q", n, old, body, want)
			}
		}
		hashes[n] = trust.LeafHash([]byte{byte(n)})
		lines += base64.StdEncoding.EncodeToString(hashes[n][:]) + "\n"
	}
	// SPEC tlog-witness: "There MUST be at most 63 lines" of a proof.
	if r, err := trust.ParseAddCheckpoint(trust.AddCheckpoint{Proof: hashes, Checkpoint: []byte(note)}.Marshal()); err == nil {
		t.Errorf("%d hashes are read as %v", len(hashes), r)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("old 0\n\nx"))
	f.Add([]byte("old 20852014\n" + hashLine + hashLine + "\nexample.com/behind-the-sofa\n20852163\n" + hashLine + "\n— example.com/behind-the-sofa Az3grlgt\n"))
	f.Add([]byte("old 007\n" + hashLine + "\n"))
	f.Add([]byte("old 1\r\n" + hashLine + "\r\nx"))
	log := grow(9)
	f.Add(trust.AddCheckpoint{OldSize: 5, Proof: log.Consistency(5, 9), Checkpoint: log.CheckpointAt(9)}.Marshal())
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := trust.ParseAddCheckpoint(body)
		if err == nil && !bytes.Equal(r.Marshal(), body) {
			t.Errorf("%q was accepted and written as %q", body, r.Marshal())
		}
		if err == nil && len(r.Proof) > 63 {
			t.Errorf("%d hashes accepted", len(r.Proof))
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	log := grow(1000)
	body := trust.AddCheckpoint{OldSize: 517, Proof: log.Consistency(517, 1000), Checkpoint: log.CheckpointAt(1000)}.Marshal()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := trust.ParseAddCheckpoint(body); err != nil {
			b.Fatal(err)
		}
	}
}
