package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Hints lead a reader to entries without a server. They prove nothing: a reader proves each entry that they lead to, and
// what they do not name may be in the log all the same.

// A short is the beginning of a SHA-256: its first 20 hex digits. What two values share of it, the entry tells apart.
type short [10]byte

func shorten(d trust.Digest) short { return short(d[:len(short{})]) }

func (s short) String() string { return hex.EncodeToString(s[:]) }

func parseShort(text string) (short, bool) {
	var s short
	if len(text) != 2*len(s) {
		return s, false
	}
	_, err := hex.Decode(s[:], []byte(text))
	return s, err == nil && s.String() == text
}

// digits is how many hex digits name a file of lookup/ and heads/: three up to 2^20 entries, and one more for each 16
// times as many, so that a file has some 24 KiB.
func digits(size, three int64) int {
	n := 3
	for limit := three; size > limit && n < 8; limit <<= 4 {
		n++
	}
	return n
}

// threeDigits is the largest log whose hint files have three.
const threeDigits = 1 << 20

// bucket is the number of the file of a short.
func (s short) bucket(digits int) int {
	n := 0
	for i := range digits {
		n = n<<4 | int(s[i/2]>>(4*(1-i%2))&15)
	}
	return n
}

// fullHints is how many lines a file of lookup/ or heads/ has at most. Digests are anybody's to choose, so one that begins
// as many others do could make of one file all of them: what comes behind begins another file, with the number of those
// before it in its name.
const fullHints = 4096

func (h *hints) file(folder string, bucket, number int) string {
	return numbered(fmt.Sprintf("%s/%0*x", folder, h.digits, bucket), number)
}

// files reads the files of one beginning.
func (h *hints) files(folder string, bucket int, read func(name string, text []byte) error) error {
	return h.draft.series(h.full, func(n int) string { return h.file(folder, bucket, n) }, read)
}

// Found is one line of a file of lookup/: an entry whose manifest ('m'), pack root ('r') or name of a pack ('p') begins
// so.
//
//	m 2162f159ceabd93f5e4f 17
type Found struct {
	Kind  byte
	Short string // 20 hex digits
	Index int64
}

// ParseLookup reads a file of lookup/, oldest entry first. It accepts exactly what a build writes.
func ParseLookup(text []byte) ([]Found, error) {
	var list []Found
	for line := range bytes.Lines(text) {
		kind, short, index, err := lookupLine(line)
		if err != nil {
			return nil, err
		}
		if n := len(list); n > 0 && (index < list[n-1].Index || index == list[n-1].Index && strings.IndexByte("mrp", kind) <= strings.IndexByte("mrp", list[n-1].Kind)) {
			return nil, fmt.Errorf("lookup line %q is out of order", trimmed(line))
		}
		list = append(list, Found{kind, short.String(), index})
	}
	if len(list) > fullHints {
		return nil, fmt.Errorf("a file of lookup has %d lines, expected at most %d", len(list), fullHints)
	}
	return list, nil
}

func lookupLine(line []byte) (kind byte, s short, index int64, err error) {
	// m, space, 20 digits, space, a decimal, newline
	if len(line) >= 25 && strings.IndexByte("mrp", line[0]) >= 0 && line[1] == ' ' && line[22] == ' ' && line[len(line)-1] == '\n' {
		var ok bool
		if s, ok = parseShort(string(line[2:22])); ok {
			if index, err = trust.ParseDecimal(string(line[23 : len(line)-1])); err == nil {
				return line[0], s, index, nil
			}
		}
	}
	return 0, s, 0, fmt.Errorf("%.60q is no line of a lookup file", trimmed(line))
}

func trimmed(line []byte) []byte { return bytes.TrimSuffix(line, []byte("\n")) }

func appendLookup(text []byte, kind byte, s short, index int64) []byte {
	text = append(text, kind, ' ')
	text = hex.AppendEncode(text, s[:])
	text = append(text, ' ')
	text = strconv.AppendInt(text, index, 10)
	return append(text, '\n')
}

// recent is how many indexes of one signer or repository a head names, and how many a line of prev/.
const recent = 8

// Head is one line of a file of heads/: how many entries a signer ('s') or a repository ('r') has, and the newest
// eight of them, newest first.
//
//	s 4ef13b6fdefd55edb639 12 40,39,31,30,22,9,8,7
type Head struct {
	Kind   byte
	Short  string
	Count  int64
	Newest []int64
}

// head is a Head as a build keeps it.
type head struct {
	count  int64
	newest [recent]int64
}

func (h *head) list() []int64 { return h.newest[:min(h.count, recent)] }

func (h *head) push(index int64) {
	copy(h.newest[1:], h.newest[:])
	h.newest[0] = index
	h.count++
}

type headKey struct {
	kind  byte
	short short
}

func compareHeads(a, b headKey) int {
	if a.kind != b.kind {
		return int(a.kind) - int(b.kind)
	}
	return bytes.Compare(a.short[:], b.short[:])
}

// ParseHeads reads a file of heads/. It accepts exactly what a build writes: repositories, then signers, each in the order
// of their digits.
func ParseHeads(text []byte) ([]Head, error) {
	var list []Head
	_, err := readHeads(text, func(k headKey, h head) {
		list = append(list, Head{k.kind, k.short.String(), h.count, slices.Clone(h.list())})
	})
	if err == nil && len(list) > fullHints {
		err = fmt.Errorf("a file of heads has %d lines, expected at most %d", len(list), fullHints)
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

func readHeads(text []byte, found func(headKey, head)) (last headKey, err error) {
	for line := range bytes.Lines(text) {
		k, h, err := headLine(line)
		if err != nil {
			return last, err
		}
		if last.kind != 0 && compareHeads(last, k) >= 0 {
			return last, fmt.Errorf("head %q is out of order", trimmed(line))
		}
		last = k
		found(k, h)
	}
	return last, nil
}

func headLine(line []byte) (k headKey, h head, err error) {
	bad := fmt.Errorf("%.60q is no line of a file of heads", trimmed(line))
	words := strings.Split(string(trimmed(line)), " ")
	if len(words) != 4 || line[len(line)-1] != '\n' || words[0] != "s" && words[0] != "r" {
		return k, h, bad
	}
	var ok bool
	k.kind = words[0][0]
	if k.short, ok = parseShort(words[1]); !ok {
		return k, h, bad
	}
	if h.count, err = trust.ParseDecimal(words[2]); err != nil || h.count == 0 {
		return k, h, bad
	}
	newest, err := parseIndexes(words[3])
	if err != nil || int64(len(newest)) != min(h.count, recent) {
		return k, h, bad
	}
	copy(h.newest[:], newest)
	return k, h, nil
}

// parseIndexes reads falling indexes: "17,9,2".
func parseIndexes(text string) ([]int64, error) {
	var list []int64
	for word := range strings.SplitSeq(text, ",") {
		n, err := trust.ParseDecimal(word)
		if err != nil {
			return nil, err
		}
		if len(list) == recent || len(list) > 0 && n >= list[len(list)-1] {
			return nil, errors.New("indexes that do not fall, or more than eight")
		}
		list = append(list, n)
	}
	return list, nil
}

func appendIndexes(text []byte, list []int64) []byte {
	for i, n := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return text
}

func appendHead(text []byte, k headKey, h *head) []byte {
	text = append(text, k.kind, ' ')
	text = hex.AppendEncode(text, k.short[:])
	text = append(text, ' ')
	text = strconv.AppendInt(text, h.count, 10)
	text = append(text, ' ')
	return append(appendIndexes(text, h.list()), '\n')
}

// Prev is one line of a file of prev/: the eight entries before an entry of its signer, and of its repository, newest
// first. "-" stands for none.
//
//	39,31,30 40,39
type Prev struct{ Signer, Repo []int64 }

// ParsePrev reads a file of prev/ that has count lines, the first of them of the entry first. It accepts exactly what a
// build writes.
func ParsePrev(text []byte, first int64, count int) ([]Prev, error) {
	list := make([]Prev, 0, count)
	for line := range bytes.Lines(text) {
		signer, repo, ok := strings.Cut(string(trimmed(line)), " ")
		p, err := Prev{}, error(nil)
		if ok && line[len(line)-1] == '\n' {
			if p.Signer, err = parsePrev(signer, first+int64(len(list))); err == nil {
				p.Repo, err = parsePrev(repo, first+int64(len(list)))
			}
		}
		if !ok || line[len(line)-1] != '\n' || err != nil {
			return nil, fmt.Errorf("%.60q is no line of a file of prev", trimmed(line))
		}
		list = append(list, p)
	}
	if len(list) != count {
		return nil, fmt.Errorf("a file of prev has %d lines, expected %d", len(list), count)
	}
	return list, nil
}

func parsePrev(text string, before int64) ([]int64, error) {
	if text == "-" {
		return nil, nil
	}
	list, err := parseIndexes(text)
	if err == nil && list[0] >= before {
		err = errors.New("an entry is not before itself")
	}
	return list, err
}

// hintPath is where lines for the entries of a bundle are.
func hintPath(t tlog.Tile) string {
	return "prev/" + strings.TrimPrefix(tiles.Path(tlog.Tile{H: tiles.Height, L: -1, N: t.N, W: t.W}), "tile/entries/")
}

// keys are what an entry is found by.
type keys struct {
	manifest, packRoot, packID, signer, repo short
	parsed, hasRepo                          bool
}

func keysOf(e *entry.Entry) keys {
	k := keys{
		manifest: shorten(e.ManifestSHA256), packRoot: shorten(e.PackRootSHA256), packID: shorten(sha256.Sum256([]byte(e.PackID))),
		signer: shorten(e.SignerKeySHA256), parsed: true,
	}
	if e.Source.Repo != "" {
		k.repo, k.hasRepo = shorten(sha256.Sum256([]byte(e.Source.Repo))), true
	}
	return k
}

// hints are those of entries that follow each other, not yet written.
type hints struct {
	draft  *draft
	digits int
	full   int // fullHints
	first  int64
	keys   []keys
	twins  func(earlier []int64, index int64) error // tells of entries whose pack roots begin alike, oldest first
}

// batch is how many entries are gathered before their hints are written: files of lookup are written once for many
// lines, and memory stays the same however large the log is.
const batch = 1 << 17

// place is one line to come of one file.
type place struct {
	bucket int
	index  int32 // in keys
	kind   byte  // as the line begins
	short  short
}

// write writes the hints of the gathered entries, and returns their lines of prev.
func (h *hints) write() (lines [][]byte, err error) {
	if err := h.writeLookup(); err != nil {
		return nil, err
	}
	return h.writeHeads()
}

// place is the line of the i-th gathered entry in the file of s.
func (h *hints) place(i int, kind byte, s short) place {
	return place{s.bucket(h.digits), int32(i), kind, s}
}

// inBuckets gives the places of each file together, oldest entry first.
func inBuckets(places []place, write func(bucket int, places []place) error) error {
	slices.SortStableFunc(places, func(a, b place) int { return a.bucket - b.bucket })
	for len(places) > 0 {
		end := 1
		for end < len(places) && places[end].bucket == places[0].bucket {
			end++
		}
		if err := write(places[0].bucket, places[:end]); err != nil {
			return err
		}
		places = places[end:]
	}
	return nil
}

func (h *hints) writeLookup() error {
	places := make([]place, 0, 3*len(h.keys))
	for i, k := range h.keys {
		if k.parsed {
			places = append(places, h.place(i, 'm', k.manifest), h.place(i, 'r', k.packRoot), h.place(i, 'p', k.packID))
		}
	}
	return inBuckets(places, h.extendLookup)
}

func (h *hints) extendLookup(bucket int, places []place) error {
	number, last := 0, []byte(nil) // the last file
	roots := map[short][]int64{}   // the entries of each pack root
	err := h.files("lookup", bucket, func(_ string, text []byte) error {
		if last != nil {
			number++
		}
		last = text
		for line := range bytes.Lines(text) {
			kind, s, index, err := lookupLine(line)
			if err != nil {
				return err
			}
			if kind == 'r' {
				roots[s] = append(roots[s], index)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var more []byte
	lines := bytes.Count(last, []byte("\n"))
	for _, p := range places {
		index := h.first + int64(p.index)
		if lines == h.full {
			if err := h.append(h.file("lookup", bucket, number), last, more); err != nil {
				return err
			}
			number, last, more, lines = number+1, nil, nil, 0
		}
		more = appendLookup(more, p.kind, p.short, index)
		lines++
		if p.kind != 'r' {
			continue
		}
		if earlier := roots[p.short]; len(earlier) > 0 {
			if err := h.twins(earlier, index); err != nil {
				return err
			}
		}
		roots[p.short] = append(roots[p.short], index)
	}
	return h.append(h.file("lookup", bucket, number), last, more)
}

func (h *hints) append(name string, before, more []byte) error {
	if len(more) == 0 {
		return nil
	}
	return h.draft.extend(name, before, more)
}

// writeHeads counts the entries of each signer and repository, and returns the lines of prev.
func (h *hints) writeHeads() ([][]byte, error) {
	places := make([]place, 0, 2*len(h.keys))
	for i, k := range h.keys {
		if k.parsed {
			places = append(places, h.place(i, 's', k.signer))
		}
		if k.hasRepo {
			places = append(places, h.place(i, 'r', k.repo))
		}
	}
	said := make([]before, len(h.keys))
	err := inBuckets(places, func(bucket int, places []place) error { return h.countHeads(bucket, places, said) })
	if err != nil {
		return nil, err
	}
	lines := make([][]byte, len(h.keys))
	for i, s := range said {
		lines[i] = fmt.Appendf(nil, "%s %s\n", orNone(s.signer), orNone(s.repo))
	}
	return lines, nil
}

// before is what prev says of an entry.
type before struct{ signer, repo []byte }

// countHeads counts the entries of some keys. A key stays in the file into which its first entry has put it.
func (h *hints) countHeads(bucket int, places []place, said []before) error {
	type entries struct {
		head
		file int
	}
	heads, files := map[headKey]*entries{}, 0
	err := h.files("heads", bucket, func(_ string, text []byte) error {
		_, err := readHeads(text, func(k headKey, one head) { heads[k] = &entries{one, files} })
		files++
		return err
	})
	if err != nil {
		return err
	}
	changed := map[int][]headKey{} // files
	for _, p := range places {
		k := headKey{p.kind, p.short}
		one := heads[k]
		if one == nil {
			one = &entries{file: len(heads) / h.full}
			heads[k] = one
		}
		if list := appendIndexes(nil, one.list()); p.kind == 'r' {
			said[p.index].repo = list
		} else {
			said[p.index].signer = list
		}
		one.push(h.first + int64(p.index))
		changed[one.file] = nil
	}
	for k, one := range heads {
		if keys, ok := changed[one.file]; ok {
			changed[one.file] = append(keys, k)
		}
	}
	for number, keys := range changed {
		slices.SortFunc(keys, compareHeads)
		var whole []byte
		for _, k := range keys {
			whole = appendHead(whole, k, &heads[k].head)
		}
		if err := h.draft.write(h.file("heads", bucket, number), whole); err != nil {
			return err
		}
	}
	return nil
}

func orNone(list []byte) []byte {
	if len(list) == 0 {
		return []byte("-")
	}
	return list
}
