package call

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	maxDecoded   = 32 << 20 // bytes that are taken out of one body: of a longer one nothing is read
	maxWindow    = 8 << 20  // of what was decoded that a decoder may look back on: RFC 9659 wants no more of anybody
	decodedChunk = 32 << 10
)

// encodings are the content codings (RFC 9110 §8.4.1) that are decoded, each by what opens it.
var encodings = map[string]func(io.Reader) (io.Reader, error){
	"gzip":    openGzip,
	"x-gzip":  openGzip,
	"deflate": openDeflate,
	"zstd":    openZstd,
}

func openGzip(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }

// openDeflate reads zlib, as the standard says, and the bare form that some servers send.
func openDeflate(r io.Reader) (io.Reader, error) {
	var head [2]byte
	n, err := io.ReadFull(r, head[:])
	if err != nil {
		return nil, err
	}
	r = io.MultiReader(bytes.NewReader(head[:n]), r)
	if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	return flate.NewReader(r), nil
}

func openZstd(r io.Reader) (io.Reader, error) {
	// One goroutine, this one.
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

// decoderCost is about how much memory decoding takes besides what comes of it: a window of what was decoded, which is
// seldom more than a few times what came.
func decoderCost(encoded int) int { return min(maxWindow, 256<<10+32*encoded) }

// decode gives what an encoded body holds to write, in pieces, until that says stop.
func decode(encoding string, encoded []byte, budget *Budget, write func(p []byte) bool) reason {
	open := encodings[encoding]
	if encoding == "br" && budget != nil && budget.Brotli != nil {
		open = func(r io.Reader) (io.Reader, error) { return budget.Brotli(r), nil }
	}
	if open == nil {
		return badEncoding
	}
	cost := decoderCost(len(encoded))
	if !budget.take(cost) {
		return noRoom
	}
	defer budget.take(-cost)
	r, err := open(bytes.NewReader(encoded))
	if err != nil {
		return badEncoding
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	chunk := make([]byte, decodedChunk)
	for total := 0; ; {
		n, err := r.Read(chunk)
		if total += n; total > maxDecoded {
			return tooLarge
		}
		if n > 0 && !write(chunk[:n]) {
			return ""
		}
		switch {
		case errors.Is(err, io.EOF):
			return ""
		case err != nil:
			return badEncoding
		}
	}
}
