package ledger

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// errDamaged: what is on disk contradicts itself. No retry mends it; nothing may be signed over it.
var errDamaged = errors.New("the log's files contradict each other")

// Damage is a range of entries for which two things that must agree do not. Which of
// the two is right, the neighbours show: a damaged tile disagrees with what is below
// it and with what is above it, a damaged bundle only with its tile. Path is the one that is wrong where
// that can be told.
type Damage struct {
	Path       string // of the file, relative to Dir; "index" for the index, "checkpoints/…" in the history
	Start, End int64  // the entries it stands for, or the checkpoints: [Start, End)
	Err        error
}

const checkpointsPath = "checkpoints/" // where the history is, in a Damage and in the paths that are served

// A Damage is the error of a read that met it.
func (d Damage) Error() string        { return d.String() }
func (d Damage) Unwrap() error        { return d.Err }
func (d Damage) Is(target error) bool { return target == errDamaged }

func (d Damage) String() string {
	what := "entries"
	if strings.HasPrefix(d.Path, checkpointsPath) {
		what = "checkpoints"
	}
	return fmt.Sprintf("%s: %s %d to %d: %v", d.Path, what, d.Start, d.End-1, d.Err)
}

// tree is a size of the log and its root hash.
type tree struct {
	Size int64
	Root tlog.Hash
}

func (t tree) String() string { return fmt.Sprintf("size %d with root %v", t.Size, t.Root) }

// store reads what Tessera's POSIX driver wrote into Config.Dir:
//
//	.state/treeState                {"size":300,"root":"…"}, written last: the commit point of a batch
//	tile/<L>/<N>[.p/<W>]            hashes
//	tile/entries/<N>[.p/<W>]        entries
//
// Files are read through an os.Root, so that no symlink leads out of the directory.
// Every read names the size of the tree it is about, because a batch that failed
// half way leaves tiles beyond treeState behind, which the next batch overwrites.
type store struct {
	root    *os.Root
	tiles   fullTiles
	damages *damages             // nil: nobody keeps them
	proven  map[tlog.Tile][]byte // what damaged tiles should be, as Fsck has proven; nil for everybody else
}

func openStore(dir string) (*store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &store{root: root}, nil
}

func (s *store) close() error { return s.root.Close() }

// readFile reads a file of at most max bytes. What is no regular file is missing.
func (s *store) readFile(path string, max int64) ([]byte, error) {
	data, err := readRegular(s.root, path, max)
	if _, none := errors.AsType[*durable.NotRegular](err); none {
		return nil, fmt.Errorf("%s: not a regular file: %w", path, fs.ErrNotExist)
	}
	return data, err
}

// readRegular is durable.ReadIn; a file that no writer of ours makes so long is damaged.
func readRegular(root *os.Root, path string, max int64) ([]byte, error) {
	data, err := durable.ReadIn(root, path, max)
	if _, long := errors.AsType[*durable.TooLong](err); long {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	return data, err
}

const treeStatePath = ".state/treeState"

// treeState is the integrated tree as Tessera's last batch committed it.
func (s *store) treeState() (tree, error) {
	text, err := s.readFile(treeStatePath, 1<<12)
	if err != nil {
		return tree{}, err
	}
	var parsed struct {
		Size uint64 `json:"size"`
		Root []byte `json:"root"`
	}
	if err := json.Unmarshal(text, &parsed); err != nil {
		return tree{}, fmt.Errorf("%w: %s is not what Tessera writes: %w", errDamaged, treeStatePath, err)
	}
	// STO-5
	want := fmt.Sprintf(`{"size":%d,"root":"%s"}`, parsed.Size, base64.StdEncoding.EncodeToString(parsed.Root))
	if string(text) != want || len(parsed.Root) != tlog.HashSize || int64(parsed.Size) < 0 {
		return tree{}, fmt.Errorf("%w: %s is not what Tessera writes", errDamaged, treeStatePath)
	}
	return tree{int64(parsed.Size), tlog.Hash(parsed.Root)}, nil
}

// data reads a tile or bundle. A partial one that garbage collection has removed,
// or that this size of the tree never had, is the beginning of the full one.
func (s *store) data(t tlog.Tile) ([]byte, error) {
	if data, ok := s.proven[t]; ok {
		return data, nil
	}
	data, err := s.readFile(tiles.Path(t), tiles.Limit(t))
	if errors.Is(err, fs.ErrNotExist) && t.W < tiles.Width {
		full := t
		full.W = tiles.Width
		wide, fullErr := s.readFile(tiles.Path(full), tiles.Limit(full))
		if errors.Is(fullErr, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w (and there is no full one)", err)
		}
		if fullErr != nil {
			return nil, fullErr
		}
		return tilePrefix(wide, full, t.W)
	}
	if err != nil {
		return nil, err
	}
	return tilePrefix(data, t, t.W)
}

// tilePrefix is tiles.Prefix for what was read here: data that is not t is damage.
func tilePrefix(data []byte, t tlog.Tile, width int) ([]byte, error) {
	beginning, err := tiles.Prefix(data, t, width)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", errDamaged, tiles.Path(t), err)
	}
	return beginning, nil
}

// hashes returns the hash reader of the tree of the size. What it reads is not
// authenticated: whoever builds a proof or a root from it checks the outcome.
func (s *store) hashes(size int64) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		read := map[tlog.Tile]hashTile{}
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			t, err := tileOfHash(index, size)
			if err != nil {
				return nil, err
			}
			tile, ok := read[t]
			if !ok {
				data, err := s.data(t)
				if err != nil {
					return nil, err
				}
				tile = newHashTile(data)
				read[t] = tile
			}
			hashes[i] = tile.hash(t, index)
		}
		return hashes, nil
	})
}

// tileOfHash is the tile that holds a hash with a stored-hash index, as wide as it is in the tree of the size.
func tileOfHash(index, size int64) (tlog.Tile, error) {
	narrow := tlog.TileForIndex(tiles.Height, index)
	t := tiles.Widest(narrow.L, narrow.N, size)
	if t.W < narrow.W {
		return t, fmt.Errorf("hash %d is beyond the tree of size %d", index, size)
	}
	return t, nil
}

// hashTile is a tile with its inner nodes: hashTile[k] are the hashes k levels above the tile's
// own, as far as they are complete. A proof takes one node of each level, and the proofs of a
// whole batch share them: hashing them anew for each proof was most of its cost.
type hashTile [][]tlog.Hash

func newHashTile(data []byte) hashTile {
	level := make([]tlog.Hash, len(data)/tlog.HashSize)
	for i := range level {
		level[i] = tlog.Hash(data[i*tlog.HashSize:])
	}
	t := hashTile{level}
	for len(level) > 1 {
		above := make([]tlog.Hash, len(level)/2)
		for i := range above {
			above[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		t = append(t, above)
		level = above
	}
	return t
}

// hash returns the hash with a stored-hash index that lies in t.
func (h hashTile) hash(t tlog.Tile, index int64) tlog.Hash {
	level, n := tlog.SplitStoredHashIndex(index)
	up := level - t.L*t.H
	return h[up][n-t.N<<(t.H-up)]
}

// top is the root over a full tile: the hash that its parent has of it.
func (h hashTile) top() tlog.Hash { return h[tiles.Height][0] }

// data is the tile's file.
func (h hashTile) data() []byte {
	data := make([]byte, 0, len(h[0])*tlog.HashSize)
	for i := range h[0] {
		data = append(data, h[0][i][:]...)
	}
	return data
}

// rootOf computes the root that the tree had at size n from the tiles of the tree of a size not below.
func (s *store) rootOf(n, size int64) (tlog.Hash, error) {
	if n == 0 {
		return trust.EmptyRoot, nil
	}
	return tlog.TreeHash(n, s.hashes(size))
}

// consistency proves that the tree of size old is the beginning of the tree of the size.
// From size 0 and between equal sizes the proof is empty.
func (s *store) consistency(old, size int64) ([]tlog.Hash, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	return tlog.ProveTree(size, old, s.hashes(size))
}

// leaves returns the entries [start, end) of the tree of the size, which must lie
// in one bundle, after comparing them with their hashes in the tile above.
func (s *store) leaves(size, start, end int64) ([][]byte, error) {
	bundle := tiles.Widest(-1, start/tiles.Width, size)
	first := bundle.N * tiles.Width
	if start < 0 || start >= end || end > first+int64(bundle.W) {
		return nil, fmt.Errorf("entries %d to %d are not in one bundle of the tree of size %d", start, end, size)
	}
	data, err := s.data(bundle)
	if err != nil {
		return nil, err
	}
	entries, err := tiles.ParseBundle(data, bundle.W)
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", errDamaged, tiles.Path(bundle), err)
	}
	above := bundle
	above.L = 0
	hashes, err := s.data(above)
	if err != nil {
		return nil, err
	}
	for i := start - first; i < end-first; i++ {
		if want := hashes[i*tlog.HashSize:][:tlog.HashSize]; tlog.RecordHash(entries[i]) != tlog.Hash(want) {
			return nil, fmt.Errorf("%w: entry %d does not hash to its leaf in %s", errDamaged, first+i, tiles.Path(above))
		}
	}
	return entries[start-first : end-first], nil
}

// checkEdge verifies all that the next batch and the next signature build on: the
// tiles of the right edge hash to the root that Tessera committed, the tree
// continues the one of size from, and the entries from there on (with all others of
// the same bundle) hash to their leaves.
//
// Tessera checks none of this: it extends a flipped bit and signs the wrong root.
func (s *store) checkEdge(from, now tree) error {
	root, err := s.rootOf(now.Size, now.Size)
	if err != nil {
		return err
	}
	if root != now.Root {
		return fmt.Errorf("%w: the tiles of size %d hash to %v, %s says %v", errDamaged, now.Size, root, treeStatePath, now.Root)
	}
	if now.Size < from.Size {
		return fmt.Errorf("%w: the tree has size %d, below %d which has been signed", errDamaged, now.Size, from.Size)
	}
	proof, err := s.consistency(from.Size, now.Size)
	if err != nil {
		return err
	}
	if err := trust.CheckConsistency(from.Size, from.Root, now.Size, now.Root, proof); err != nil {
		return fmt.Errorf("%w: the tree of %v does not continue the signed one of %v", errDamaged, now, from)
	}
	return s.checkLeaves(from.Size, now.Size)
}

// checkLeaves compares the entries [from, size) with their leaf hashes, and those
// before from in the same bundle: the next batch rewrites the whole bundle.
func (s *store) checkLeaves(from, size int64) error {
	if size == 0 {
		return nil
	}
	for start := min(from, size-1) / tiles.Width * tiles.Width; start < size; start += tiles.Width {
		if _, err := s.leaves(size, start, min(start+tiles.Width, size)); err != nil {
			return err
		}
	}
	return nil
}

// missing says in words that a file is not there.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the file is missing")
	}
	return err
}
