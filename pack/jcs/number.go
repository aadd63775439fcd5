package jcs

import (
	"math"
	"strconv"
	"strings"
)

// A spelling is how a writer spells doubles.
type spelling uint8

const (
	packFloats   spelling = iota // C(v)
	pythonFloats                 // repr
)

// appendNumber writes a number token: an integer verbatim but for -0, anything else as a double.
// offset is where it stood, for errors; -1 when it was not read from a text.
func appendNumber(dst []byte, tok string, floats spelling, offset int) ([]byte, error) {
	end, integer, want := numberEnd(tok, 0)
	switch {
	case want != "" || end < len(tok):
		return nil, &Error{Cause: ErrSyntax, Offset: offset, Detail: "expected a number token, found " + excerpt(tok)}
	case tok == "-0":
		return append(dst, '0'), nil
	case integer && len(strings.TrimPrefix(tok, "-")) > maxIntegerDigits:
		return nil, &Error{Cause: ErrNumber, Offset: offset, Detail: "expected an integer of at most 4300 digits, found " + excerpt(tok)}
	case integer:
		return append(dst, tok...), nil
	}
	f, err := strconv.ParseFloat(tok, 64)
	if err != nil { // it is infinite; an underflow is zero and no error
		return nil, &Error{Cause: ErrNumber, Offset: offset, Detail: "expected a number that a double can hold, found " + excerpt(tok)}
	}
	if floats == pythonFloats {
		return appendReprFloat(dst, f), nil
	}
	return appendPackFloat(dst, f), nil
}

// appendPackFloat writes a finite double as C(v) does (JCS-17): zero of any sign is 0, exponents -6 to 20 are
// positional, the rest d[.ddd]E<e>. RFC 8785 has the same digits and another exponent.
func appendPackFloat(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	var room [24]byte
	digits, exponent := shortest(room[:0], f)
	if f < 0 {
		dst = append(dst, '-')
	}
	if -6 <= exponent && exponent <= 20 {
		return appendPositional(dst, digits, exponent)
	}
	dst = appendMantissa(dst, digits)
	return strconv.AppendInt(append(dst, 'E'), int64(exponent), 10)
}

// appendReprFloat writes a finite double as Python's repr does (JCS-24): 100.0, 1e-07, 1e+16, -0.0.
func appendReprFloat(dst []byte, f float64) []byte {
	var room [24]byte
	digits, exponent := shortest(room[:0], f)
	if math.Signbit(f) {
		dst = append(dst, '-')
	}
	if -4 <= exponent && exponent < 16 {
		dst = appendPositional(dst, digits, exponent)
		if exponent >= len(digits)-1 {
			dst = append(dst, '.', '0')
		}
		return dst
	}
	dst = append(appendMantissa(dst, digits), 'e')
	if exponent < 0 {
		dst, exponent = append(dst, '-'), -exponent
	} else {
		dst = append(dst, '+')
	}
	if exponent < 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(exponent), 10)
}

// shortest returns the fewest digits that read back as |f|, and the decimal exponent of the first.
func shortest(room []byte, f float64) (digits []byte, exponent int) {
	written := strconv.AppendFloat(room, math.Abs(f), 'e', -1, 64) // d[.ddd]e±dd
	i := len(written) - 1
	for unit := 1; '0' <= written[i] && written[i] <= '9'; i-- {
		exponent += unit * int(written[i]-'0')
		unit *= 10
	}
	if written[i] == '-' {
		exponent = -exponent
	}
	digits = written[:1]
	if i > 2 {
		digits = append(digits, written[2:i-1]...)
	}
	return digits, exponent
}

func appendMantissa(dst, digits []byte) []byte {
	dst = append(dst, digits[0])
	if len(digits) > 1 {
		dst = append(append(dst, '.'), digits[1:]...)
	}
	return dst
}

func appendPositional(dst, digits []byte, exponent int) []byte {
	if exponent < 0 {
		dst = append(dst, '0', '.')
		for range -exponent - 1 {
			dst = append(dst, '0')
		}
		return append(dst, digits...)
	}
	for i := range max(len(digits), exponent+1) {
		if i == exponent+1 {
			dst = append(dst, '.')
		}
		if i < len(digits) {
			dst = append(dst, digits[i])
		} else {
			dst = append(dst, '0')
		}
	}
	return dst
}
