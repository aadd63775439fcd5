package timestamp

import (
	"encoding/asn1"
	"fmt"
	"math/big"
)

// The DER tags that occur in RFC 3161 and CMS.
const (
	tagBoolean         = 0x01
	tagInteger         = 0x02
	tagBitString       = 0x03
	tagOctetString     = 0x04
	tagNull            = 0x05
	tagOID             = 0x06
	tagUTF8String      = 0x0c
	tagGeneralizedTime = 0x18
	tagSequence        = 0x30
	tagSet             = 0x31
	tagContext0        = 0xa0 // [0], constructed
	tagContext1        = 0xa1
	tagContext4        = 0xa4
	tagContext0Prim    = 0x80 // [0], primitive
	tagContext1Prim    = 0x81
)

// reader walks a DER encoding from front to back. It is stricter than encoding/asn1, which lets
// a SEQUENCE carry more elements than it was asked for: here every byte is accounted for.
// The first surprise is kept in err, which the readers of inner elements share; after it every
// read gives nothing, so that a parser is a straight list of reads and one look at err.
type reader struct {
	rest []byte
	err  *error
}

func newReader(der []byte) reader { return reader{rest: der, err: new(error)} }

func (r *reader) fail(format string, args ...any) {
	if *r.err == nil {
		*r.err = fmt.Errorf(format, args...)
	}
	r.rest = nil
}

// element takes the next element, which must have the tag. full starts at the tag, body after the length.
func (r *reader) element(tag byte, what string) (full, body []byte) {
	if *r.err != nil {
		return nil, nil
	}
	full, body, ok := cutElement(r.rest)
	if !ok {
		r.fail("%s: want a DER element", what)
		return nil, nil
	}
	if full[0] != tag {
		r.fail("%s: tag %#02x, want %#02x", what, full[0], tag)
		return nil, nil
	}
	r.rest = r.rest[len(full):]
	return full, body
}

// enter takes the next element and gives a reader of what it holds.
func (r *reader) enter(tag byte, what string) reader {
	_, body := r.element(tag, what)
	return reader{rest: body, err: r.err}
}

// has reports whether the next element has the tag.
func (r *reader) has(tag byte) bool { return *r.err == nil && len(r.rest) > 0 && r.rest[0] == tag }

// more reports whether there is anything left to read.
func (r *reader) more() bool { return *r.err == nil && len(r.rest) > 0 }

func (r *reader) end(what string) {
	if r.more() {
		r.fail("%s: %d trailing bytes", what, len(r.rest))
	}
}

func (r *reader) integer(tag byte, what string) *big.Int {
	full, _ := r.element(tag, what)
	if full == nil {
		return new(big.Int)
	}
	var n *big.Int
	untagged := append([]byte{tagInteger}, full[1:]...)
	if _, err := asn1.Unmarshal(untagged, &n); err != nil {
		r.fail("%s: not a DER integer", what)
		return new(big.Int)
	}
	return n
}

// number takes an INTEGER between min and max.
func (r *reader) number(tag byte, min, max int64, what string) int64 {
	n := r.integer(tag, what)
	if *r.err == nil && (!n.IsInt64() || n.Int64() < min || n.Int64() > max) {
		r.fail("%s: want %d to %d", what, min, max)
		return min
	}
	return n.Int64()
}

// oid takes an OBJECT IDENTIFIER. Arcs above 2^31-1 do not fit asn1.ObjectIdentifier and are refused.
func (r *reader) oid(what string) asn1.ObjectIdentifier {
	full, _ := r.element(tagOID, what)
	if full == nil {
		return nil
	}
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(full, &oid); err != nil {
		r.fail("%s: not an object identifier", what)
	}
	return oid
}

// flag takes a BOOLEAN DEFAULT FALSE. DER leaves a default out, so what is there must be TRUE.
func (r *reader) flag(what string) bool {
	if !r.has(tagBoolean) {
		return false
	}
	if _, body := r.element(tagBoolean, what); len(body) != 1 || body[0] != 0xff {
		r.fail("%s: want TRUE or nothing", what)
	}
	return true
}

// algorithm takes an AlgorithmIdentifier whose parameters are absent or NULL.
func (r *reader) algorithm(what string) asn1.ObjectIdentifier {
	sequence := r.enter(tagSequence, what)
	oid := sequence.oid(what)
	if sequence.more() {
		if _, body := sequence.element(tagNull, what+" parameters"); len(body) != 0 {
			r.fail("%s parameters: want an empty NULL", what)
		}
	}
	sequence.end(what)
	return oid
}

// cutElement splits off the first DER element: a tag below 31 and a length in its shortest form.
// Nothing here is longer than MaxSize, so a length has at most three bytes.
func cutElement(b []byte) (full, body []byte, ok bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return nil, nil, false
	}
	head, length := 2, int(b[1])
	if length >= 0x80 {
		count := length & 0x7f
		if count < 1 || count > 3 || len(b) < head+count {
			return nil, nil, false
		}
		length = 0
		for _, c := range b[head : head+count] {
			length = length<<8 | int(c)
		}
		if length < 0x80 || length>>(8*(count-1)) == 0 {
			return nil, nil, false
		}
		head += count
	}
	if len(b)-head < length {
		return nil, nil, false
	}
	return b[:head+length], b[head : head+length], true
}
