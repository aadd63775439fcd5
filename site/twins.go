package site

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/entry"
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

// twin compares a new entry with earlier ones whose pack root begins like its own, oldest first.
func (b *build) twin(earlier []int64, index int64) error {
	leaf, err := b.leaf(index)
	if err != nil {
		return err
	}
	this, err := entry.Parse(leaf)
	if err != nil {
		return err
	}
	for _, i := range earlier {
		leaf, err := b.leaf(i)
		if err != nil {
			return err
		}
		other, err := entry.Parse(leaf)
		if err != nil {
			return siteDamaged(err)
		}
		// The first manifest is what all others are compared with.
		if other.PackRootSHA256 == this.PackRootSHA256 {
			if other.ManifestSHA256 != this.ManifestSHA256 {
				b.twins = append(b.twins, twin{this.PackRootSHA256, i, index})
			}
			return nil
		}
	}
	return nil
}

// recordTwins appends what was found, in the order of the log.
func (b *build) recordTwins() error {
	if len(b.twins) == 0 {
		return nil
	}
	slices.SortFunc(b.twins, func(a, c twin) int { return int(min(1, max(-1, a.index-c.index))) })
	var more []byte
	for _, t := range b.twins {
		more = append(more, t.String()...)
	}
	b.twins = nil
	before, err := b.draft.read(twinsFile)
	if err != nil && !isMissing(err) {
		return err
	}
	return b.draft.extend(twinsFile, before, more)
}

// newestTwins is how many records pages and feed are made of.
const newestTwins = 200

// readTwins gives the newest records, and how many pack roots there are in all.
func (b *build) readTwins() (newest []twin, roots int, err error) {
	text, err := b.draft.read(twinsFile)
	if isMissing(err) {
		return nil, 0, nil
	} else if err != nil {
		return nil, 0, err
	}
	firsts := map[int64]bool{}
	for line := range bytes.Lines(text) {
		t, err := parseTwin(line)
		if err != nil {
			return nil, 0, siteDamaged(err)
		}
		firsts[t.first] = true
		if newest = append(newest, t); len(newest) >= 2*newestTwins {
			newest = slices.Clone(newest[len(newest)-newestTwins:])
		}
	}
	return newest[max(0, len(newest)-newestTwins):], len(firsts), nil
}
