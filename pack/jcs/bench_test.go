package jcs

import (
	"testing"

	rfc8785 "github.com/gowebpki/jcs"
)

// storeLine is a receipt as the store writes it, packLine as a pack holds it: 500 bytes or so.
const storeLine = `{"receipt_id": "r_0123456789ab", "type": "model_call", "timestamp": "2026-01-15T12:00:00.000000+00:00", "schema_version": "3.0", "seq": 7, "provider": "openai", "model_id": "gpt-4o-2024-08-06", "input_tokens": 1204, "output_tokens": 312, "total_tokens": 1516, "latency_ms": 842, "finish_reason": "stop", "error": null, "input_hash": "0123456789abcdef", "output_hash": "fedcba9876543210", "message_count": 4, "integration_source": "assay.integrations.openai", "_trace_id": "trace_20260115T120000_deadbeef", "_store_seq": 41}`

func packLine(tb testing.TB) []byte {
	line, err := Pack(nil, []byte(storeLine), Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return line
}

func benchmark(b *testing.B, text []byte, f func() error) {
	b.Helper()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPackReceiptLine(b *testing.B) {
	text, dst := []byte(storeLine), []byte(nil)
	benchmark(b, text, func() (err error) { dst, err = Pack(dst[:0], text, Limits{}); return err })
}

func BenchmarkPackCanonicalLine(b *testing.B) {
	text, dst := packLine(b), []byte(nil)
	benchmark(b, text, func() (err error) { dst, err = Pack(dst[:0], text, Limits{}); return err })
}

func BenchmarkGowebpkiReceiptLine(b *testing.B) {
	text := []byte(storeLine)
	benchmark(b, text, func() error { _, err := rfc8785.Transform(text); return err })
}

func BenchmarkParse(b *testing.B) {
	text := []byte(storeLine)
	benchmark(b, text, func() error { _, err := Parse(text, Limits{}); return err })
}

func BenchmarkIsPackLine(b *testing.B) {
	text := packLine(b)
	var r Reader
	benchmark(b, text, func() error { _, _, err := r.IsPackLine(text, Limits{}); return err })
}

// BenchmarkIsPackLineEscapes is the slow path: the text holds escape sequences and a float.
func BenchmarkIsPackLineEscapes(b *testing.B) {
	text, err := Pack(nil, []byte(storeLine[:len(storeLine)-1]+`,"text":"one\ntwo\u2028","score":0.25}`), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	var r Reader
	benchmark(b, text, func() error { _, _, err := r.IsPackLine(text, Limits{}); return err })
}

func BenchmarkAppendPack(b *testing.B) {
	v, err := Parse([]byte(storeLine), Limits{})
	if err != nil {
		b.Fatal(err)
	}
	dst := []byte(nil)
	benchmark(b, []byte(storeLine), func() (err error) { dst, err = AppendPack(dst[:0], v); return err })
}
