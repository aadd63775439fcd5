package receipt

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

// IsTime reports whether CPython 3.11 or later reads s with datetime.fromisoformat after each
// Z became +00:00. It is a reader for parity, so the quirks of that reader are kept: any one character separates date and time, one character may stand between the
// time and the offset ("11:00:00 Z", "11:00:00.Z"), offset minutes go to 99.
//
// Not kept: a NUL character, which its C scanner takes for the end of the text, and more than 256 bytes.
func IsTime(s string) bool { // RCP-7
	if len(s) > form.MaxTime || strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		return false
	}
	s = strings.ReplaceAll(s, "Z", "+00:00")
	if len(s) < 7 { // YYYYWww
		return false
	}
	sep := isoSeparator(s)
	if sep > len(s) || !isoDate(s[:sep]) {
		return false
	}
	if len(s) == sep {
		return true
	}
	_, size := utf8.DecodeRuneInString(s[sep:])
	return isoClock(s[sep+size:])
}

// isoSeparator is the position of the character between date and time: the length of the date.
// Characters 4 and 5 tell the spellings apart; only week dates leave a doubt.
func isoSeparator(s string) int {
	switch {
	case len(s) == 7:
		return 7
	case s[4] == '-' && s[5] != 'W': // YYYY-MM-DD
		return 10
	case s[4] == '-': // YYYY-Www or YYYY-Www-D
		if len(s) == 8 || s[8] != '-' {
			return 8
		}
		if len(s) > 10 && form.IsDigit(s[10]) { // YYYY-Www-HH: the hyphen is the separator
			return 8
		}
		return 10
	case s[4] == 'W': // YYYYWww or YYYYWwwD: clock digits come in pairs
		end := 7
		for end < len(s) && form.IsDigit(s[end]) {
			end++
		}
		if end < 9 {
			return end
		}
		return 7 + end%2
	}
	return 8 // YYYYMMDD
}

// isoDate reads exactly YYYY-MM-DD, YYYYMMDD, YYYY-Www[-D] or YYYYWww[D].
func isoDate(s string) bool {
	year, ok := form.Digits(s, 0, 4)
	if !ok || year == 0 {
		return false
	}
	rest := s[4:]
	hyphens := strings.HasPrefix(rest, "-")
	if hyphens {
		rest = rest[1:]
	}
	if week, ok := strings.CutPrefix(rest, "W"); ok {
		return isoWeek(year, week, hyphens)
	}
	month, ok := form.Digits(rest, 0, 2)
	if !ok {
		return false
	}
	rest = rest[2:]
	if hyphens {
		if rest, ok = strings.CutPrefix(rest, "-"); !ok {
			return false
		}
	}
	day, ok := form.Digits(rest, 0, 2)
	return ok && len(rest) == 2 && form.IsDay(year, month, day)
}

// isoWeek reads ww, wwD or ww-D of the year.
func isoWeek(year int, s string, hyphens bool) bool {
	week, ok := form.Digits(s, 0, 2)
	if !ok {
		return false
	}
	day := 1
	if rest := s[2:]; rest != "" {
		if hyphens {
			if rest, ok = strings.CutPrefix(rest, "-"); !ok {
				return false
			}
		}
		if day, ok = form.Digits(rest, 0, 1); !ok || len(rest) != 1 {
			return false
		}
	}
	if week < 1 || week > weeksIn(year) || day < 1 || day > 7 {
		return false
	}
	// Monday of week 1 is the Monday of the week that holds January 4.
	fourth := time.Date(year, time.January, 4, 0, 0, 0, 0, time.UTC)
	monday := fourth.AddDate(0, 0, -(int(fourth.Weekday())+6)%7)
	date := monday.AddDate(0, 0, (week-1)*7+day-1)
	return 1 <= date.Year() && date.Year() <= 9999
}

// weeksIn is 53 for years that begin on a Thursday, and for leap years that begin on a Wednesday.
func weeksIn(year int) int {
	first := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC).Weekday()
	if first == time.Thursday || first == time.Wednesday && isLeap(year) {
		return 53
	}
	return 52
}

// isoClock reads a time of day and an optional offset from UTC.
func isoClock(s string) bool {
	at := strings.IndexAny(s, "+-")
	if at < 0 {
		clock, rest, ok := isoFields(s)
		return ok && !rest && clock.InDay()
	}
	clock, _, ok := isoFields(s[:at]) // one stray character, or what follows six digits, goes unnoticed
	if !ok || !clock.InDay() {
		return false
	}
	offset, rest, ok := isoFields(s[at+1:])
	return ok && !rest && offset.Hour*3600+offset.Minute*60+offset.Second < 24*3600
}

// isoFields reads HH[[:]MM[[:]SS[(.|,)f+]]]. rest says that something unread follows, which the caller
// judges.
func isoFields(s string) (c form.Clock, rest, ok bool) {
	colons := false
	pos := 0
	for i, field := range []*int{&c.Hour, &c.Minute, &c.Second} {
		if *field, ok = form.Digits(s, pos, 2); !ok {
			return c, false, false
		}
		if pos += 2; pos == len(s) {
			return c, false, true
		}
		next := s[pos]
		if i == 0 {
			colons = next == ':'
		}
		if pos+1 == len(s) {
			return c, true, true
		}
		if next == '.' || next == ',' {
			pos++
			break
		}
		if colons && next != ':' {
			return c, false, false
		}
		if colons {
			pos++
		}
	}
	// The basic form needs no point before its fraction.
	fraction := min(6, len(s)-pos)
	if _, ok := form.Digits(s, pos, fraction); !ok {
		return c, false, false
	}
	for pos += fraction; pos < len(s) && form.IsDigit(s[pos]); pos++ {
	}
	return c, pos < len(s), true
}

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }
