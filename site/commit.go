package site

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/trust"
)

// commitList is what a build does to the folder, in this order (SIT-20):
//
//	assay-ledger site commit v1
//	put 2162f159ceabd93f5e4f570945fbe5067091b94080e31b934ecf325e28b7fbd2 8192 tile/0/000
//	put e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 0 checkpoint
//	remove tile/0/000.p/17
//	end 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752
//
// SHA-256, bytes and path of each file that is put in place, the paths of those that go, and the SHA-256 of all these
// lines: a list that has lost one is no list.
type commitList []change

type change struct {
	name    string
	remove  bool
	content      // of a file that is put in place
	done    bool // an interrupted build has put it in place
}

// content is what tells one state of a file from others.
type content struct {
	size   int64
	sha256 trust.Digest
}

func contentOf(parts ...[]byte) content {
	h, size := sha256.New(), int64(0)
	for _, part := range parts {
		size += int64(len(part))
		_, _ = h.Write(part)
	}
	return content{size, trust.Digest(h.Sum(nil))}
}

// workDir is where a build keeps what is not yet in its place.
const workDir = ".assay-build"

const commitHead = "assay-ledger site commit v1\n"

func commitTail(lines []byte) []byte { return fmt.Appendf(nil, "end %x\n", sha256.Sum256(lines)) }

// rank is the place of a file in the order of publication: what others lead to comes before them, the checkpoint last.
func rank(name string) int {
	switch first, _, _ := strings.Cut(name, "/"); {
	case name == "checkpoint":
		return 4
	case first == "tile" || name != countFile && first == "checkpoints" && !strings.HasSuffix(name, ".html") && !strings.HasSuffix(name, ".xml"):
		return 0
	case name == countFile || first == "lookup" || first == "heads" || first == "prev":
		return 1
	case first == ".well-known":
		return 3
	}
	return 2
}

// compareChanges orders a list: removals come last, behind the checkpoint that no longer needs what they take away.
func compareChanges(a, b change) int {
	switch {
	case a.remove != b.remove && a.remove:
		return 1
	case a.remove != b.remove:
		return -1
	case a.remove:
		return strings.Compare(a.name, b.name)
	}
	return cmp.Or(rank(a.name)-rank(b.name), strings.Compare(a.name, b.name))
}

func (c change) String() string {
	if c.remove {
		return "remove " + c.name
	}
	return fmt.Sprintf("put %s %d %s", c.sha256, c.size, c.name)
}

func (l commitList) marshal() []byte {
	var text bytes.Buffer
	text.WriteString(commitHead)
	for _, c := range l {
		text.WriteString(c.String())
		text.WriteByte('\n')
	}
	text.Write(commitTail(text.Bytes()))
	return text.Bytes()
}

// parseCommit reads a list. It accepts exactly what a build writes.
func parseCommit(text []byte) (commitList, error) {
	lines := text[:max(0, len(text)-len(commitTail(nil)))]
	body, begun := bytes.CutPrefix(lines, []byte(commitHead))
	if !begun || len(body) == 0 || !bytes.Equal(text[len(lines):], commitTail(lines)) {
		return nil, fmt.Errorf("no commit list: %w", ErrSiteDamaged)
	}
	var list commitList
	names := map[string]bool{}
	for line := range bytes.Lines(body) {
		c, err := parseChange(string(line))
		if err == nil && len(list) > 0 && compareChanges(list[len(list)-1], c) >= 0 {
			err = errors.New("out of order")
		}
		if err == nil && names[c.name] {
			err = errors.New("the second of that name")
		}
		if err != nil {
			return nil, fmt.Errorf("the line %.120q: %w: %w", line, err, ErrSiteDamaged)
		}
		names[c.name] = true
		list = append(list, c)
	}
	for _, c := range list {
		for i, char := range c.name {
			if char == '/' && names[c.name[:i]] {
				return nil, fmt.Errorf("the name %.100q is that of a file and of a directory: %w", c.name[:i], ErrSiteDamaged)
			}
		}
	}
	return list, nil
}

func parseChange(line string) (c change, err error) {
	what, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	switch what {
	case "remove":
		c.remove, c.name = true, rest
	case "put":
		words := strings.Split(rest, " ")
		if len(words) != 3 {
			return c, errors.New("expected put, a digest, a size and a path")
		}
		if c.sha256, err = trust.ParseDigest(words[0]); err != nil {
			return c, err
		}
		if c.size, err = trust.ParseDecimal(words[1]); err != nil {
			return c, err
		}
		c.name = words[2]
	default:
		return c, errors.New("expected put or remove")
	}
	if !ofSite(c.name) || c.String()+"\n" != line {
		return c, errors.New("expected a path of the site")
	}
	return c, nil
}

// ofSite tells whether a build may have made a file of that name.
func ofSite(name string) bool {
	odd := func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._-/", r))
	}
	first, _, _ := strings.Cut(name, "/")
	return fs.ValidPath(name) && name != "." && first != workDir && !strings.ContainsFunc(name, odd)
}

// notOurFile tells that what stands there is no file of the length that was expected, if it is a file at all.
func notOurFile(err error) bool {
	_, long := errors.AsType[*durable.TooLong](err)
	_, other := errors.AsType[*durable.NotRegular](err)
	return long || other
}
