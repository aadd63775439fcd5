package form

import "time"

// Two grammars of time meet in a pack (receipts.md §3, PCK-4). Receipts were written by many programs and
// are read as CPython reads them; the attestation is written by a builder and follows its schema.

// MaxTime bounds a receipt's timestamp: the longest sensible one has 35 bytes. CPython would go on
// skipping digits of a fraction for ever.
const MaxTime = 256

// Clock is a time of day.
type Clock struct{ Hour, Minute, Second int }

// InDay reports whether the clock shows such a time; there is no second 60.
func (c Clock) InDay() bool { return c.Hour < 24 && c.Minute < 60 && c.Second < 60 }

// ParseDateTime reads the date-time of the manifest's schema:
// YYYY-MM-DDTHH:MM:SS[.f+](Z|±HH:MM), upper-case letters, a real instant, offset below 24 hours.
// Digits of the fraction after the ninth are read and dropped.
func ParseDateTime(s string) (time.Time, bool) {
	const form = "0000-00-00T00:00:00"
	if len(s) <= len(form) || len(s) > MaxTime {
		return time.Time{}, false
	}
	for i := range len(form) {
		if form[i] == '0' && !IsDigit(s[i]) || form[i] != '0' && s[i] != form[i] {
			return time.Time{}, false
		}
	}
	year, _ := Digits(s, 0, 4)
	month, _ := Digits(s, 5, 2)
	day, _ := Digits(s, 8, 2)
	var clock Clock
	clock.Hour, _ = Digits(s, 11, 2)
	clock.Minute, _ = Digits(s, 14, 2)
	clock.Second, _ = Digits(s, 17, 2)
	nanoseconds, zone, ok := schemaFraction(s[len(form):])
	if !ok || !IsDay(year, month, day) || !clock.InDay() {
		return time.Time{}, false
	}
	offset, ok := schemaOffset(zone)
	if !ok {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, clock.Hour, clock.Minute, clock.Second-offset, nanoseconds, time.UTC), true
}

func schemaFraction(s string) (nanoseconds int, rest string, ok bool) {
	if s[0] != '.' {
		return 0, s, true
	}
	i, unit := 1, 100_000_000
	for ; i < len(s) && IsDigit(s[i]); i++ {
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
	hour, ok1 := Digits(s, 1, 2)
	minute, ok2 := Digits(s, 4, 2)
	if !ok1 || !ok2 || hour > 23 || minute > 59 {
		return 0, false
	}
	seconds = hour*3600 + minute*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// Digits reads exactly n digits of s from pos on.
func Digits(s string, pos, n int) (value int, ok bool) {
	if pos+n > len(s) {
		return 0, false
	}
	for _, c := range []byte(s[pos : pos+n]) {
		if !IsDigit(c) {
			return 0, false
		}
		value = value*10 + int(c-'0')
	}
	return value, true
}

// IsDigit reports whether c is an ASCII digit.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

// IsDay reports whether the calendar has that day.
func IsDay(year, month, day int) bool {
	if year < 1 || month < 1 || month > 12 || day < 1 {
		return false
	}
	return day <= time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// IsDateTime reports whether s is a date-time of at most 64 bytes that ParseDateTime reads.
func IsDateTime(s string) bool {
	if len(s) > 64 {
		return false
	}
	_, ok := ParseDateTime(s)
	return ok
}
