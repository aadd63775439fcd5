package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
)

// count writes a number with thin groups of three: 1,234,567.
func count(n any) string {
	digits := strconv.FormatInt(reflect.ValueOf(n).Int(), 10)
	for at := len(digits) - 3; at > 0 && digits[at-1] != '-'; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02") }

// lastSecond is the last one that a date with four digits has. A witness may sign a later one.
const lastSecond = 253402300799

func instant(t time.Time) string {
	if t.Unix() > lastSecond {
		return fmt.Sprintf("%d seconds after 1970", t.Unix())
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// upTo writes the end of a span of time: a fraction of a second is rounded up, because an earlier time would say more.
func upTo(t time.Time) string { return instant(roundUp(t)) }

func roundUp(t time.Time) time.Time { return t.Add(time.Second - 1).Truncate(time.Second) }

func stamp(t time.Time) string {
	return time.Unix(min(t.Unix(), lastSecond), 0).UTC().Format("2006-01-02T15:04:05Z07:00")
}

var utcTime = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.0+|(\.\d+?)0*)?(?:Z|\+00:00)$`)

// clock writes a time of an entry as instant does, if it is UTC; another one stays as it is spelled.
func clock(text string) string { return utcTime.ReplaceAllString(text, "$1 $2$3 UTC") }

// short is the beginning of a digest or key, for the eye only.
func short(text string) string {
	if len(text) > 20 {
		return text[:16] + "…"
	}
	return text
}

// fingerprint is what people compare of a vkey.
func fingerprint(vkey string) string { return trust.Digest(sha256.Sum256([]byte(vkey))).String() }

// hexdump shows at most 1 KiB of a leaf that nobody can read.
func hexdump(leaf []byte) string {
	const most = 1 << 10
	if len(leaf) > most {
		return hex.Dump(leaf[:most]) + fmt.Sprintf("and %d bytes more\n", len(leaf)-most)
	}
	return hex.Dump(leaf)
}

func first(n int, rows []Row) []Row { return rows[:min(n, len(rows))] }

// pageNumber is a link to a page of the newest entries.
type pageNumber struct {
	Number int
	File   string
	Here   bool
}

// Numbers lead to all pages of the newest entries.
func (e Entries) Numbers() (list []pageNumber) {
	for n := 1; n <= e.Pages; n++ {
		list = append(list, pageNumber{n, entriesFile(n), n == e.Page})
	}
	return list
}

// entriesFile is the name of a page in entries/.
func entriesFile(n int) string {
	if n == 1 {
		return "index.html"
	}
	return fmt.Sprintf("%d.html", n)
}
