package timestamp

import (
	"encoding/asn1"
	"math/big"
	"time"
)

// tstInfo is the content of a token (RFC 3161 §2.4.2).
type tstInfo struct {
	policy   asn1.ObjectIdentifier
	imprint  imprint
	serial   *big.Int
	time     time.Time
	accuracy time.Duration
	nonce    *big.Int // nil: none
}

type imprint struct {
	algorithm asn1.ObjectIdentifier
	digest    []byte
	der       []byte
}

// genTime is DER GeneralizedTime: in UTC, with a fraction only when it is not zero and without trailing zeros.
const genTime = "20060102150405.999999999Z"

func parseTSTInfo(der []byte) (*tstInfo, error) {
	r := newReader(der)
	fields := r.enter(tagSequence, "TSTInfo")
	r.end("TSTInfo")
	t := new(tstInfo)
	fields.number(tagInteger, 1, 1, "TSTInfo version")
	t.policy = fields.oid("TSA policy")
	t.imprint = parseImprint(&fields)
	t.serial = fields.integer(tagInteger, "token serial number")
	t.time = parseGenTime(&fields)
	if fields.has(tagSequence) {
		t.accuracy = parseAccuracy(fields.enter(tagSequence, "accuracy"))
	}
	fields.flag("ordering")
	if fields.has(tagInteger) {
		t.nonce = fields.integer(tagInteger, "nonce")
	}
	if fields.has(tagContext0) {
		fields.element(tagContext0, "tsa") // a hint; the signing-certificate attribute is what binds
	}
	if fields.has(tagContext1) {
		parseExtensions(fields.enter(tagContext1, "extensions"))
	}
	fields.end("TSTInfo")
	return t, *r.err
}

func parseImprint(r *reader) imprint {
	full, body := r.element(tagSequence, "message imprint")
	fields := reader{rest: body, err: r.err}
	i := imprint{der: full, algorithm: fields.algorithm("message imprint hash algorithm")}
	_, i.digest = fields.element(tagOctetString, "message imprint digest")
	fields.end("message imprint")
	return i
}

func parseGenTime(r *reader) time.Time {
	_, body := r.element(tagGeneralizedTime, "genTime")
	if body == nil {
		return time.Time{}
	}
	t, err := time.Parse(genTime, string(body))
	// Before 1970 lies the zero time, which crypto/x509 would take for "now".
	if err != nil || t.Format(genTime) != string(body) || t.Unix() < 0 {
		r.fail("genTime: want YYYYMMDDhhmmss[.fraction]Z after 1970")
		return time.Time{}
	}
	return t.UTC()
}

func parseAccuracy(r reader) time.Duration {
	var a time.Duration
	if r.has(tagInteger) {
		a += time.Duration(r.number(tagInteger, 0, 1<<31-1, "accuracy seconds")) * time.Second
	}
	if r.has(tagContext0Prim) {
		a += time.Duration(r.number(tagContext0Prim, 0, 999, "accuracy milliseconds")) * time.Millisecond
	}
	if r.has(tagContext1Prim) {
		a += time.Duration(r.number(tagContext1Prim, 0, 999, "accuracy microseconds")) * time.Microsecond
	}
	r.end("accuracy")
	return a
}

// parseExtensions knows no extension, so it refuses the critical ones.
func parseExtensions(r reader) {
	for r.more() {
		extension := r.enter(tagSequence, "extension")
		oid := extension.oid("extension")
		if extension.flag("extension critical") {
			r.fail("critical extension %v is not known", oid)
		}
		extension.element(tagOctetString, "extension value")
		extension.end("extension")
	}
}
