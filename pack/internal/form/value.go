package form

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Parse reads untrusted JSON text through the one strict reader.
func Parse(text []byte, limit int) (jcs.Value, error) {
	return jcs.Parse(text, jcs.Limits{Bytes: limit, Depth: MaxDepth})
}

// Get is the member of that name, null if there is none.
func Get(v jcs.Value, name string) jcs.Value {
	got, _ := v.Get(name)
	return got
}

// Str is the string member of that name, "" if there is none or it is not a string.
func Str(v jcs.Value, name string) string {
	if got, ok := v.Get(name); ok && got.Kind == jcs.String {
		return got.Text
	}
	return ""
}

// Digest is the hash behind 64 hex digits that were checked before.
func Digest(s string) (sum [32]byte) {
	hex.Decode(sum[:], []byte(s[:min(len(s), 64)]))
	return sum
}

// Decode64 reads standard padded base64 of which there is one spelling only.
func Decode64(s string) ([]byte, error) {
	data, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, err
	}
	// The decoder skips line ends; re-encoding does not write them.
	if !bytes.Equal(base64.StdEncoding.AppendEncode(nil, data), []byte(s)) {
		return nil, fmt.Errorf("not canonical base64")
	}
	return data, nil
}

// Strs makes an object of strings from pairs of name and value.
func Strs(pairs ...string) jcs.Value {
	v := jcs.Obj()
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Members = append(v.Members, jcs.M(pairs[i], jcs.Str(pairs[i+1])))
	}
	return v
}

// Texts is an array of strings.
func Texts(list []string) jcs.Value {
	v := jcs.Arr()
	for _, s := range list {
		v.Items = append(v.Items, jcs.Str(s))
	}
	return v
}

// AppendText adds a string member, unless it is empty.
func AppendText(members []jcs.Member, name, value string) []jcs.Member {
	if value == "" {
		return members
	}
	return append(members, jcs.M(name, jcs.Str(value)))
}

// StrOrNull is a string, null for an empty one.
func StrOrNull(s string) jcs.Value {
	if s == "" {
		return jcs.Value{}
	}
	return jcs.Str(s)
}

// HexSum is SHA-256 in lowercase hex digits.
func HexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// CanonicalHash is H(C(v)), "" if v has no canonical form.
func CanonicalHash(v jcs.Value) string {
	text, err := jcs.AppendPack(nil, v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Limits on what a pack may hold. What exceeds one is a finding, never an error:
// a verifier of untrusted packs must answer in bounded time and memory.
const (
	MaxFile  = 16 << 20 // bytes of any other file
	MaxDepth = 64       // nesting of any JSON
)
