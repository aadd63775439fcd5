// Package jcs reads JSON strictly and writes it canonically.
package jcs

import "errors"

var errStub = errors.New("not built yet")

type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Value is one strictly parsed JSON value. Numbers keep their token. Members keep source order.
type Value struct {
	Kind    Kind
	Bool    bool
	Text    string // String: decoded; Number: the token as written
	Items   []Value
	Members []Member
}

type Member struct {
	Name  string
	Value Value
}

// Limits bounds a parse; a zero field means its default.
type Limits struct {
	Bytes int // default 1 MiB
	Depth int // default 64
}

func Parse(text []byte, l Limits) (Value, error) { return Value{}, errStub }
func (v Value) Get(name string) (Value, bool)    { return Value{}, false }

// AppendPack appends the pack-profile canonical form C(v) of pack.md §1.6.
func AppendPack(dst []byte, v Value) ([]byte, error) { return nil, errStub }

// Pack is Parse then AppendPack, in one pass (fast path for receipt lines).
func Pack(dst, text []byte, l Limits) ([]byte, error) { return nil, errStub }

// RFC8785 canonicalises with the standard profile (gowebpki/jcs behind the strict reader).
func RFC8785(text []byte, l Limits) ([]byte, error) { return nil, errStub }
