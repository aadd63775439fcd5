package form

import "strconv"

// IsIdentifier is the rule for names that stand for something: what looks the same
// must be the same, so no homoglyph, bidi or invisible character.
func IsIdentifier(s string) bool { return s != "" && len(s) <= 256 && IsPrintableASCII(s) }

// IsPrintableASCII reports whether s is printable ASCII: 0x20 to 0x7e.
func IsPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// isHex reports whether s is lowercase hex digits only.
func isHex(s string) bool {
	for i := range len(s) {
		if !('0' <= s[i] && s[i] <= '9' || 'a' <= s[i] && s[i] <= 'f') {
			return false
		}
	}
	return true
}

// IsCommit is the name of a commit: SHA-1, or SHA-256 in the newer repositories. The reference's schema
// knows the former only.
func IsCommit(s string) bool { return (len(s) == 40 || len(s) == 64) && isHex(s) }

// IsASCII reports whether s is ASCII.
func IsASCII(s string) bool {
	for i := range len(s) {
		if s[i] > 0x7f {
			return false
		}
	}
	return true
}

// Quote shows text of the pack inside a message: escaped, at most 80 bytes.
func Quote(s string) string {
	if len(s) > 80 {
		return strconv.QuoteToASCII(s[:80]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// Printable is quote without the quotes for text that needs none.
func Printable(s string) string {
	if len(s) <= 80 && IsPrintableASCII(s) {
		return s
	}
	return Quote(s)
}

// OneLine is an error's text as a message: printable ASCII, whatever it quotes.
func OneLine(err error) string {
	text := err.Error()
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	if IsPrintableASCII(text) {
		return text
	}
	return Quote(text)
}
