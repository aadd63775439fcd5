package pack

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Two grammars of time meet in a pack (pack.md §1.5, §3.4). Receipts were written by many programs and
// are read as CPython reads them; the attestation is written by a builder and follows its schema.

// maxReceiptTime bounds a receipt's timestamp: the longest sensible one has 35 bytes. CPython would go on
// skipping digits of a fraction for ever.
const maxReceiptTime = 256

// parseReceiptTime reports whether CPython 3.11 or later reads s with datetime.fromisoformat after each
// Z became +00:00 (pack.md §1.5, "accept the ≥3.11 set"). It is a reader for parity, so the quirks of
// that reader are kept: any one character separates date and time, one character may stand between the
// time and the offset ("11:00:00 Z", "11:00:00.Z"), offset minutes go to 99.
//
// Not kept: a NUL character, which its C scanner takes for the end of the text, and more than 256 bytes.
func parseReceiptTime(s string) bool {
	if len(s) > maxReceiptTime || strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
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
		if len(s) > 10 && isDigit(s[10]) { // YYYY-Www-HH: the hyphen is the separator
			return 8
		}
		return 10
	case s[4] == 'W': // YYYYWww or YYYYWwwD: clock digits come in pairs
		end := 7
		for end < len(s) && isDigit(s[end]) {
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
	year, ok := digits(s, 0, 4)
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
	month, ok := digits(rest, 0, 2)
	if !ok {
		return false
	}
	rest = rest[2:]
	if hyphens {
		if rest, ok = strings.CutPrefix(rest, "-"); !ok {
			return false
		}
	}
	day, ok := digits(rest, 0, 2)
	return ok && len(rest) == 2 && isDay(year, month, day)
}

// isoWeek reads ww, wwD or ww-D of the year.
func isoWeek(year int, s string, hyphens bool) bool {
	week, ok := digits(s, 0, 2)
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
		if day, ok = digits(rest, 0, 1); !ok || len(rest) != 1 {
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
		return ok && !rest && clock.inDay()
	}
	clock, _, ok := isoFields(s[:at]) // one stray character, or what follows six digits, goes unnoticed
	if !ok || !clock.inDay() {
		return false
	}
	offset, rest, ok := isoFields(s[at+1:])
	return ok && !rest && offset.hour*3600+offset.minute*60+offset.second < 24*3600
}

// isoFields reads HH[[:]MM[[:]SS[(.|,)f+]]]. rest says that something unread follows, which the caller
// judges.
func isoFields(s string) (c isoHMS, rest, ok bool) {
	colons := false
	pos := 0
	for i, field := range []*int{&c.hour, &c.minute, &c.second} {
		if *field, ok = digits(s, pos, 2); !ok {
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
	if _, ok := digits(s, pos, fraction); !ok {
		return c, false, false
	}
	for pos += fraction; pos < len(s) && isDigit(s[pos]); pos++ {
	}
	return c, pos < len(s), true
}

// isoHMS is a time of day.
type isoHMS struct{ hour, minute, second int }

// inDay reports whether the clock shows such a time; there is no second 60.
func (c isoHMS) inDay() bool { return c.hour < 24 && c.minute < 60 && c.second < 60 }

// parseSchemaTime reads the date-time of the manifest's schema (pack.md §3.4):
// YYYY-MM-DDTHH:MM:SS[.f+](Z|±HH:MM), upper-case letters, a real instant, offset below 24 hours.
// Digits of the fraction after the ninth are read and dropped.
func parseSchemaTime(s string) (time.Time, bool) {
	const form = "0000-00-00T00:00:00"
	if len(s) <= len(form) || len(s) > maxReceiptTime {
		return time.Time{}, false
	}
	for i := range len(form) {
		if form[i] == '0' && !isDigit(s[i]) || form[i] != '0' && s[i] != form[i] {
			return time.Time{}, false
		}
	}
	year, _ := digits(s, 0, 4)
	month, _ := digits(s, 5, 2)
	day, _ := digits(s, 8, 2)
	var clock isoHMS
	clock.hour, _ = digits(s, 11, 2)
	clock.minute, _ = digits(s, 14, 2)
	clock.second, _ = digits(s, 17, 2)
	nanoseconds, zone, ok := schemaFraction(s[len(form):])
	if !ok || !isDay(year, month, day) || !clock.inDay() {
		return time.Time{}, false
	}
	offset, ok := schemaOffset(zone)
	if !ok {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, clock.hour, clock.minute, clock.second-offset, nanoseconds, time.UTC), true
}

func schemaFraction(s string) (nanoseconds int, rest string, ok bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	i, unit := 1, 100_000_000
	for ; i < len(s) && isDigit(s[i]); i++ {
		nanoseconds += int(s[i]-'0') * unit
		unit /= 10
	}
	return nanoseconds, s[i:], i > 1
}

// schemaOffset returns the seconds that the zone is ahead of UTC.
func schemaOffset(s string) (seconds int, ok bool) {
	if s == "Z" {
		return 0, true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hour, ok1 := digits(s, 1, 2)
	minute, ok2 := digits(s, 4, 2)
	if !ok1 || !ok2 || hour > 23 || minute > 59 {
		return 0, false
	}
	seconds = hour*3600 + minute*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// digits reads exactly n digits of s from pos on.
func digits(s string, pos, n int) (value int, ok bool) {
	if pos+n > len(s) {
		return 0, false
	}
	for _, c := range []byte(s[pos : pos+n]) {
		if !isDigit(c) {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	return value, true
}

// isDigit reports whether c is an ASCII digit.
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLeap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// isDay reports whether the calendar has that day.
func isDay(year, month, day int) bool {
	if year < 1 || month < 1 || month > 12 || day < 1 {
		return false
	}
	return day <= time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
