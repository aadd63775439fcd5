package jcs

import (
	"bytes"
	"errors"
	"testing"
)

func addSeeds(f *testing.F) {
	for _, text := range goldenTexts() {
		f.Add([]byte(text))
	}
	f.Add([]byte(storeLine))
	f.Add(packLine(f))
}

// canonicalOf says what the tree writer makes of a text. A text with a number that no double holds has
// no canonical form.
func canonicalOf(t *testing.T, text []byte) (v Value, canonical []byte, ok bool) {
	v, err := Parse(text, Limits{})
	if err != nil {
		return Value{}, nil, false
	}
	canonical, err = AppendPack(nil, v)
	if err != nil && !errors.Is(err, ErrNumber) {
		t.Fatalf("%q parses and is not written: %v", text, err)
	}
	return v, canonical, err == nil
}

func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		v, canonical, ok := canonicalOf(t, text)
		if !ok {
			return
		}
		if _, again, ok := canonicalOf(t, canonical); !ok || !bytes.Equal(again, canonical) {
			t.Errorf("%q: C(v) = %s reads back as %s", text, canonical, again)
		}
		// Whatever is written, however spelled, is the same value.
		for name, write := range writers {
			written, err := write(nil, v)
			if err != nil {
				t.Fatalf("%q: %s: %v", text, name, err)
			}
			// Escapes make texts longer: a larger limit than the one it was read under.
			again, err := Pack(nil, written, Limits{Bytes: 1 << 24})
			if err != nil || !bytes.Equal(again, canonical) {
				t.Errorf("%q: %s wrote %q: %s, %v", text, name, written, again, err)
			}
		}
	})
}

func FuzzPackIsAppendPackOfParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		packed, err := Pack(nil, text, Limits{})
		_, canonical, ok := canonicalOf(t, text)
		if ok != (err == nil) || !bytes.Equal(packed, canonical) {
			t.Errorf("%q: Pack = %s, %v; AppendPack = %s", text, packed, err, canonical)
		}
	})
}

func FuzzIsPackLine(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, line []byte) {
		v, canonical, ok := canonicalOf(t, line)
		escaped, lineErr := AppendPackLine(nil, v)
		want := ok && lineErr == nil && (bytes.Equal(line, canonical) || bytes.Equal(line, escaped))
		if _, got, err := IsPackLine(line, Limits{}); got != want || ok != (err == nil) {
			t.Errorf("%q: %v, %v, want %v", line, got, err, want)
		}
	})
}
