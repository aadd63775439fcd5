package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Fsck reads every entry and every tile of the log in dir and compares each with its
// neighbours: entries with leaf hashes, tiles with the tiles above, the topmost with
// Tessera's state, that with the tree last signed in guardDir, and, unless x is nil,
// every entry with the index. It reports each damage and goes on. The tree that it
// returns is the one it has looked at.
//
// It needs no key, changes nothing, keeps a few tiles in memory, and may run beside
// an open log. The error is for what could not be looked at at all.
func Fsck(ctx context.Context, dir, guardDir string, x Index, report func(Damage)) (size int64, root tlog.Hash, err error) {
	s, err := openStore(dir)
	if err != nil {
		return 0, tlog.Hash{}, fmt.Errorf("checking the log: %w", err)
	}
	defer s.close()
	// The guard first: the log may grow meanwhile, and it never falls behind the guard.
	text, err := readSmall(guardDir, signedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, tlog.Hash{}, noGuard(guardDir)
	} else if err != nil {
		return 0, tlog.Hash{}, fmt.Errorf("checking the log: reading the guard: %w", err)
	}
	signed, err := trust.ParseCheckpointText(text)
	if err != nil {
		return 0, tlog.Hash{}, fmt.Errorf("checking the log: reading the guard: %w", err)
	}
	now, err := s.treeState()
	if err != nil {
		return 0, tlog.Hash{}, fmt.Errorf("checking the log: %w", err)
	}
	c := &fsckRun{store: s, size: now.Size, root: now.Root, index: x, report: report}
	if err := c.readIndexSize(ctx); err != nil {
		return now.Size, now.Root, fmt.Errorf("checking the log: %w", err)
	}
	if err := c.all(ctx, tree{signed.Size, signed.Root}, now); err != nil {
		return now.Size, now.Root, fmt.Errorf("checking the log: %w", err)
	}
	return now.Size, now.Root, nil
}

const indexPath = "index" // stands for it in a Damage

type fsckRun struct {
	store   *store
	size    int64
	root    tlog.Hash
	index   Index
	indexed int64 // its size before the walk
	report  func(Damage)
}

func (c *fsckRun) all(ctx context.Context, signed, now tree) error {
	for level := 0; tiles.Count(level, c.size) > 0; level++ {
		for n := int64(0); n*tiles.Width < tiles.Count(level, c.size); n++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			t := tiles.Widest(level, n, c.size)
			if err := c.tile(ctx, t); err != nil {
				return err
			}
		}
	}
	if root, err := c.store.rootOf(now.Size, now.Size); err != nil {
		c.report(Damage{treeStatePath, 0, now.Size, err})
	} else if root != now.Root {
		c.report(Damage{treeStatePath, 0, now.Size, fmt.Errorf("it says %v, the tiles hash to %v", now.Root, root)})
	}
	if now.Size < signed.Size {
		c.report(Damage{treeStatePath, now.Size, signed.Size, errors.New("they have been signed for and are gone: the log was rolled back")})
	} else if proof, err := c.store.consistency(signed.Size, now.Size); err != nil {
		c.report(Damage{treeStatePath, 0, signed.Size, err})
	} else if err := trust.CheckConsistency(signed.Size, signed.Root, now.Size, now.Root, proof); err != nil {
		c.report(Damage{treeStatePath, 0, signed.Size, fmt.Errorf("the tree does not continue the signed one: %w", err)})
	}
	return nil
}

// tile compares the hashes of t with what lies below each.
func (c *fsckRun) tile(ctx context.Context, t tlog.Tile) error {
	first, end := tiles.Span(t)
	span := (end - first) / int64(t.W) // entries under one hash
	data, err := c.store.data(t)
	if err != nil {
		c.report(Damage{tiles.Path(t), first, end, missing(err)})
		return nil // what lies below was compared already, or is by now unprovable
	}
	if t.L == 0 {
		return c.bundle(ctx, t, data)
	}
	for i := range int64(t.W) {
		below := tlog.Tile{H: tiles.Height, L: t.L - 1, N: t.N*tiles.Width + i, W: tiles.Width}
		lower, err := c.store.data(below)
		if err != nil {
			continue // reported one level down
		}
		if want := tlog.Hash(data[i*tlog.HashSize:][:tlog.HashSize]); newHashTile(lower).top() != want {
			c.report(Damage{tiles.Path(t), first + i*span, first + (i+1)*span, fmt.Errorf("hash %d is not that of %s", i, tiles.Path(below))})
		}
	}
	return nil
}

// bundle compares the entries under a tile of level 0 with its hashes and with the index.
func (c *fsckRun) bundle(ctx context.Context, above tlog.Tile, hashes []byte) error {
	t := above
	t.L = -1
	first, end := tiles.Span(t)
	data, err := c.store.data(t)
	if err != nil {
		c.report(Damage{tiles.Path(t), first, end, missing(err)})
		return nil
	}
	entries, err := tiles.ParseBundle(data, t.W)
	if err != nil {
		return err // data has parsed it before
	}
	hashes = c.blameTile(above, hashes, entries)
	for i, leaf := range entries {
		at := first + int64(i)
		if tlog.RecordHash(leaf) != tlog.Hash(hashes[i*tlog.HashSize:][:tlog.HashSize]) {
			c.report(Damage{tiles.Path(t), at, at + 1, fmt.Errorf("the entry does not hash to its leaf in %s", tiles.Path(above))})
		} else if err := c.entry(ctx, tiles.Path(t), at, leaf); err != nil {
			return err
		}
	}
	return nil
}

// blameTile reports the hashes of a tile of level 0 that are not those of its entries, if the entries are what the
// tree was built of: then it is the tile that is damaged, and what it should be is used from here on. It returns
// the hashes to compare the entries with.
func (c *fsckRun) blameTile(t tlog.Tile, hashes []byte, entries [][]byte) []byte {
	want := make([]byte, 0, len(hashes))
	for _, leaf := range entries {
		hash := tlog.RecordHash(leaf)
		want = append(want, hash[:]...)
	}
	if bytes.Equal(want, hashes) || !c.belongs(t, want) {
		return hashes
	}
	for i := range entries {
		if at := i * tlog.HashSize; !bytes.Equal(want[at:][:tlog.HashSize], hashes[at:][:tlog.HashSize]) {
			n := t.N*tiles.Width + int64(i)
			c.report(Damage{tiles.Path(t), n, n + 1, errors.New("the hash is not that of the entry, which is the one that the tree was built of")})
		}
	}
	if c.store.proven == nil {
		c.store.proven = map[tlog.Tile][]byte{}
	}
	c.store.proven[t] = want
	return want
}

// belongs tells whether a tile of level 0 with these hashes is part of the tree: its parent has the hash of a full
// one, and only the root can tell of the last, partial one.
func (c *fsckRun) belongs(t tlog.Tile, hashes []byte) bool {
	if t.W == tiles.Width {
		parent := tiles.Widest(1, t.N/tiles.Width, c.size)
		data, err := c.store.data(parent)
		return err == nil && newHashTile(hashes).top() == tlog.Hash(data[t.N%tiles.Width*tlog.HashSize:][:tlog.HashSize])
	}
	tried := &store{root: c.store.root, proven: map[tlog.Tile][]byte{t: hashes}}
	root, err := tried.rootOf(c.size, c.size)
	return err == nil && root == c.root
}

func (c *fsckRun) entry(ctx context.Context, path string, at int64, leaf []byte) error {
	if c.index == nil {
		return nil
	}
	e, err := entry.Parse(leaf)
	if err != nil {
		c.report(Damage{path, at, at + 1, err})
		return nil
	}
	found, ok, err := c.index.Find(ctx, e.ManifestSHA256)
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil: // it is damaged, and nothing more can be learned from it
		c.report(Damage{indexPath, at, at + 1, err})
		c.index = nil
	case !ok:
		if at < c.indexed { // beyond that it has yet to follow
			c.report(Damage{indexPath, at, at + 1, errors.New("the manifest is not in the index: delete the index")})
		}
	case found != at:
		c.report(Damage{indexPath, at, at + 1, fmt.Errorf("the index has the manifest at %d: it is logged twice, or the index is of another log", found)})
	}
	return nil
}

// readIndexSize also reads the index itself, and notices one that is damaged or ahead of the log.
func (c *fsckRun) readIndexSize(ctx context.Context) (err error) {
	if c.index == nil {
		return nil
	}
	whole, err := c.index.Size(ctx)
	if err != nil {
		return err
	}
	_ = c.index.Check(ctx, func(ctx context.Context) error { return ctx.Err() }) // Lost has what it found
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.indexed, err = c.index.Size(ctx); err != nil {
		return err
	}
	if lost := c.index.Lost(); lost != nil {
		c.report(Damage{indexPath, c.indexed, max(whole, c.indexed+1), fmt.Errorf("%w: the next start derives it again", lost)})
		c.index = nil // what is left of it proves nothing
		return nil
	}
	now, err := c.store.treeState() // as it is by now
	if err != nil {
		return err
	}
	if c.indexed > now.Size {
		c.report(Damage{indexPath, now.Size, c.indexed, errors.New("the log has no such entries: delete the index")})
	}
	return nil
}
