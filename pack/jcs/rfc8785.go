package jcs

import (
	"fmt"
	"strconv"

	rfc8785 "github.com/gowebpki/jcs"
)

// RFC8785 returns the standard canonical form of the one value in text, read as strictly as Parse does.
// Integers outside ±(2^53-1) are an error (ErrNumber): the standard would round them, so that two
// different documents had one form.
func RFC8785(text []byte, l Limits) ([]byte, error) {
	s := scanner{text: text}
	if err := s.scan(l); err != nil {
		return nil, err
	}
	for i := range s.tape {
		if err := s.checkDouble(&s.tape[i]); err != nil {
			return nil, err
		}
	}
	out, err := rfc8785.Transform(text)
	if err != nil {
		return nil, &Error{Cause: ErrSyntax, Offset: -1, Detail: "canonicalising: " + err.Error()}
	}
	return out, nil
}

// checkDouble refuses a number that RFC 8785 cannot represent.
func (s *scanner) checkDouble(t *token) error {
	const most int64 = 1<<53 - 1
	if t.kind != Number {
		return nil
	}
	tok := string(s.text[t.start:t.end])
	if _, integer, _ := numberEnd(tok, 0); integer {
		if n, err := strconv.ParseInt(tok, 10, 64); err != nil || n > most || n < -most {
			return &Error{Cause: ErrNumber, Offset: int(t.start), Detail: fmt.Sprintf("expected an integer within ±%d, found %s", most, excerpt(tok))}
		}
	} else if _, err := strconv.ParseFloat(tok, 64); err != nil {
		return &Error{Cause: ErrNumber, Offset: int(t.start), Detail: "expected a number that a double can hold, found " + excerpt(tok)}
	}
	return nil
}
