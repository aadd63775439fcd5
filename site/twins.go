package site

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/Haserjian/assay-ledger/trust"
)

// twinsFile is a list that only grows: what comes behind fullTwins lines begins another file, with a number.
const (
	twinsFile = "equivocation/records"
	fullTwins = 1 << 16
)

// Twin is a line of equivocation/records: an entry whose pack root an earlier entry has too, with another manifest. A
// signer who makes two manifests of one pack root tells two stories of one run.
//
//	2162f159…bd2 17 240     pack root, the first entry that has it, this entry
type Twin struct {
	PackRoot     trust.Digest
	First, Index int64
}

func (t Twin) String() string { return fmt.Sprintf("%s %d %d\n", t.PackRoot, t.First, t.Index) }

// ParseTwins reads equivocation/records. It accepts exactly what a build writes.
func ParseTwins(text []byte) (list []Twin, err error) {
	err = eachTwin(text, -1, func(t Twin) { list = append(list, t) })
	return list, err
}

func eachTwin(text []byte, last int64, found func(Twin)) error {
	for line := range bytes.Lines(text) {
		t, err := parseTwin(line)
		if err != nil || t.Index <= last {
			return fmt.Errorf("%.100q is no line of %s, or out of order", trimmed(line), twinsFile)
		}
		last = t.Index
		found(t)
	}
	return nil
}

func parseTwin(line []byte) (t Twin, err error) {
	words := strings.Split(string(trimmed(line)), " ")
	if len(words) == 3 {
		if t.PackRoot, err = trust.ParseDigest(words[0]); err == nil {
			if t.First, err = trust.ParseDecimal(words[1]); err == nil {
				t.Index, err = trust.ParseDecimal(words[2])
			}
		}
	}
	if err == nil && (t.First >= t.Index || t.String() != string(line)) {
		err = fmt.Errorf("a line of another form")
	}
	return t, err
}
