package witness_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/witness"
	"golang.org/x/mod/sumdb/tlog"
)

const hashLine = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"

func TestRequestsRoundTrip(t *testing.T) {
	for _, r := range []witness.Request{
		{Checkpoint: []byte("x")},
		{OldSize: 1<<63 - 1, Proof: make([]tlog.Hash, 63), Checkpoint: []byte("\n\nnot looked at")},
	} {
		got, err := witness.ParseRequest(r.Marshal())
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
		_, err := witness.ParseRequest([]byte(body))
		if refusal, ok := errors.AsType[*witness.Refusal](err); !ok || refusal.Status != http.StatusBadRequest {
			t.Errorf("%.80q: got %v, want 400", body, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("old 0\n\nx"))
	f.Add([]byte("old 20852014\n" + hashLine + hashLine + "\nexample.com/behind-the-sofa\n20852163\n" + hashLine + "\n— example.com/behind-the-sofa Az3grlgt\n"))
	f.Add([]byte("old 007\n" + hashLine + "\n"))
	f.Add([]byte("old 1\r\n" + hashLine + "\r\nx"))
	log := newLog(origin, 9)
	f.Add(request(log, 5, 9).Marshal())
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := witness.ParseRequest(body)
		if err == nil && !bytes.Equal(r.Marshal(), body) {
			t.Errorf("%q was accepted and written as %q", body, r.Marshal())
		}
		if err == nil && len(r.Proof) > 63 {
			t.Errorf("%d hashes accepted", len(r.Proof))
		}
	})
}
