package site

import (
	"fmt"
	"strings"

	"github.com/Haserjian/assay-ledger/trust"
)

// twinsFile is a list that only grows: entries whose pack root an earlier entry has too, with another manifest. A signer
// who makes two manifests of one pack root tells two stories of one run.
//
//	2162f159…bd2 17 240     pack root, the first entry that has it, this entry
const twinsFile = "equivocation/records"

// twin is one line of it.
type twin struct {
	root         trust.Digest
	first, index int64
}

func (t twin) String() string { return fmt.Sprintf("%s %d %d\n", t.root, t.first, t.index) }

func parseTwin(line []byte) (t twin, err error) {
	words := strings.Split(string(trimmed(line)), " ")
	if len(words) != 3 {
		return t, fmt.Errorf("%s has the line %.100q", twinsFile, trimmed(line))
	}
	if t.root, err = trust.ParseDigest(words[0]); err == nil {
		if t.first, err = trust.ParseDecimal(words[1]); err == nil {
			t.index, err = trust.ParseDecimal(words[2])
		}
	}
	if err != nil || t.first >= t.index || t.String() != string(line) {
		return t, fmt.Errorf("%s has the line %.100q", twinsFile, trimmed(line))
	}
	return t, nil
}
