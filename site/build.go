package site

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Config says what to build, and where.
type Config struct {
	Log      Source        // required
	Out      string        // required: a folder that does not exist, is empty, or is a site of this log
	Policy   *trust.Policy // whom to believe; nil: whom the log says, which is its own word. No file depends on it
	BasePath string        // where on its host the site stands, for what cannot be relative; empty: "/"
	Contact  []string      // URIs of security.txt; none: no such file
	Program  string        // what makes the site: it stands in its description

	manner
	three int64 // threeDigits; tests have a smaller one
	full  int   // fullHints; tests have a smaller one
}

// Built is what a build has done.
type Built struct {
	Before, Size int64     // entries of the site before and now
	Root         tlog.Hash // of the tree now
	Checkpoints  int64     // in the history now
	Unparsed     int64     // of the new entries: how many are no entries of a ledger. They are in the site as they are
	Files        int       // written
	Removed      int
	Bytes        int64 // written
}

// Build makes the folder the site of the log as it is now. It reads what is new since the last build, verifies it, and
// only then touches what is there: all new files lie beside the old ones before the first of them is put in place, and
// the checkpoint comes last. Whatever goes wrong, the folder is the old site or, when the next build has ended, the new
// one.
func Build(ctx context.Context, c Config) (_ *Built, err error) {
	if c.BasePath == "" {
		c.BasePath = "/"
	}
	if err := CheckBasePath(c.BasePath); err != nil {
		return nil, err
	}
	if err := CheckContacts(c.Contact); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(c.Out); errors.Is(err, fs.ErrNotExist) {
		if err := durable.Mkdir(c.Out, 0o755); err != nil {
			return nil, err
		}
	}
	d, err := openDraft(c.Out, c.manner)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close()) }() // after a panic too: the next build wants the lock
	b := &build{Config: c, draft: d}
	if err := b.run(ctx); err != nil {
		return &b.built, errors.Join(err, d.abandon())
	}
	return &b.built, nil
}

// claim makes sure that the folder is one of ours, before anything in it is touched, and gives what a build that was
// interrupted has left to do.
func (b *build) claim() (commitList, error) {
	list, err := b.draft.pending()
	if err != nil {
		return nil, err
	}
	desc, err := b.readDescription(descriptionFile)
	switch {
	case isMissing(err) && list == nil:
		return nil, b.onlyOf(nil)
	case isMissing(err):
		// The first build of the folder was interrupted: nothing may be there but what its list has put there.
		if desc, err = b.readDescription(newDir + "/" + descriptionFile); err == nil {
			err = b.onlyOf(list)
		}
	}
	if isMissing(err) {
		err = b.notOurs(fmt.Errorf("it has no %s", descriptionFile))
	}
	b.old.there, b.old.desc = true, desc
	return list, err
}

func (b *build) notOurs(err error) error { return fmt.Errorf("%s: %w: %w", b.Out, ErrNotOurs, err) }

func (b *build) readDescription(name string) (Description, error) {
	text, err := durable.ReadIn(b.draft.root, name, 64<<10)
	if notOurFile(err) {
		return Description{}, b.notOurs(err)
	} else if err != nil {
		return Description{}, err
	}
	desc, err := ParseDescription(text)
	if err != nil {
		return desc, b.notOurs(err)
	}
	return desc, nil
}

// onlyOf makes sure that the folder holds nothing but our own directory and what a list has put in place.
func (b *build) onlyOf(list commitList) error {
	own := map[string]bool{".": true}
	for _, c := range list {
		if c.done {
			for name := c.name; !own[name]; name = path.Dir(name) {
				own[name] = true
			}
		} else if !c.remove { // its directory may have been made
			for name := path.Dir(c.name); !own[name]; name = path.Dir(name) {
				own[name] = true
			}
		}
	}
	return fs.WalkDir(b.draft.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == workDir && d.IsDir():
			return fs.SkipDir
		case !own[name]:
			return b.notOurs(fmt.Errorf("it has no %s, and there is %s", descriptionFile, name))
		}
		return nil
	})
}

// past is what the folder holds before the build.
type past struct {
	there  bool // a site
	desc   Description
	size   int64
	root   tlog.Hash
	shown  bool            // it has a checkpoint
	notes  int64           // of the history
	narrow map[string]bool // its partial tiles, of all widths
}

type build struct {
	Config
	draft  *draft
	old    past
	from   int64             // the first entry to read
	cp     *trust.Checkpoint // as the published policy has it; nil: nothing is published
	log    trust.PolicyLog
	policy *trust.Policy // that verifies
	told   *trust.Policy // that is published
	roots  []byte

	tree      *growing
	manifests map[int64]trust.Digest // of entries that have twins, as they were read
	newest    time.Time              // when the newest leaf was submitted; zero: it is no entry
	history   *history
	hints     *hints
	last      []byte // the bundle that is not full
	prev      []byte // lines of prev for it
	twins     []Twin
	firsts    map[int64]story // of those that new entries are compared with

	read  bundleCache
	built Built
}

func (b *build) run(ctx context.Context) error {
	list, err := b.claim()
	if err != nil {
		return err
	}
	if err := b.ask(ctx); err != nil {
		return err
	}
	if err := b.sameLog(); err != nil {
		return err
	}
	if err := b.draft.recover(list); err != nil {
		return err
	}
	if err := b.look(); err != nil {
		return err
	}
	if err := b.compare(); err != nil {
		return err
	}
	if b.cp != nil {
		if err := b.grow(ctx); err != nil {
			return err
		}
	}
	if err := b.show(); err != nil {
		return err
	}
	b.built.Files, b.built.Removed, b.built.Bytes = len(b.draft.staged), len(b.draft.remove), b.draft.bytes
	if err := ctx.Err(); err != nil { // from here on nobody waits long
		return err
	}
	b.built.Size, b.built.Root = b.old.size, b.old.root
	if b.cp != nil {
		b.built.Size, b.built.Root, b.built.Checkpoints = b.cp.Size, b.cp.Root, b.history.count
	}
	return b.draft.commit()
}

// ask reads what the log says of itself.
func (b *build) ask(ctx context.Context) (err error) {
	text, err := b.Log.Policy(ctx)
	if err == nil {
		b.told, err = trust.ParsePolicy(text)
	}
	if err != nil {
		return fmt.Errorf("reading the log's policy: %w", err)
	}
	if b.roots, err = b.Log.Roots(ctx); err != nil && !isMissing(err) {
		return fmt.Errorf("reading the log's roots: %w", err)
	}
	if b.policy = b.Policy; b.policy == nil {
		b.policy = b.told
	}
	logs := b.told.Logs()
	if len(logs) == 0 {
		return errors.New("the log's policy names no log")
	}
	note, err := b.Log.Checkpoint(ctx)
	switch {
	case isMissing(err) && len(logs) > 1:
		return fmt.Errorf("the log's policy names %d logs, and nothing is published that tells which of them it is: build the site after the first checkpoint", len(logs))
	case isMissing(err):
		b.log = logs[0]
		return nil
	case err != nil:
		return fmt.Errorf("reading the checkpoint: %w", err)
	}
	if b.cp, err = b.policy.OpenCheckpoint(note); err != nil {
		return fmt.Errorf("the checkpoint of the log: %w", err)
	}
	if err := b.sameKey(note); err != nil {
		return err
	}
	if b.cp, err = b.told.OpenLogSignature(note); err != nil {
		return fmt.Errorf("the checkpoint of the log, by its own policy: %w", err)
	}
	return nil
}

// sameKey finds the key that has signed the checkpoint: one that the policy that is published names as well as the one
// that verifies.
func (b *build) sameKey(note []byte) error {
	named := false
	for _, l := range b.told.Logs() {
		if l.Origin != b.cp.Origin {
			continue
		}
		named = true
		believed := slices.ContainsFunc(b.policy.Logs(), func(k trust.PolicyLog) bool { return k.Origin == l.Origin && k.VKey == l.VKey })
		alone, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{l}, nil, 0))
		if err != nil {
			return err
		}
		if _, err := alone.OpenLogSignature(note); err == nil && believed {
			b.log = l
			return nil
		}
	}
	if !named {
		return fmt.Errorf("%w: its checkpoint is of %q, which its own policy does not name", ErrDamaged, b.cp.Origin)
	}
	return fmt.Errorf("%w: its own policy gives %q another key than the one that signed its checkpoint", ErrDamaged, b.cp.Origin)
}

// sameLog makes sure that the folder is not the site of another log.
func (b *build) sameLog() error {
	if b.old.there && (b.old.desc.Origin != b.log.Origin || b.old.desc.VKey != b.log.VKey) {
		return fmt.Errorf("%s: %w: of %q with key %s, and the log is %q with key %s", b.Out, ErrOtherLog,
			b.old.desc.Origin, b.old.desc.VKey, b.log.Origin, b.log.VKey)
	}
	return nil
}

// look reads what the folder holds.
func (b *build) look() error {
	note, err := b.draft.read("checkpoint")
	if isMissing(err) {
		return nil
	} else if err != nil {
		return err
	}
	cp, _, err := trust.CutCheckpoint(note)
	if err == nil && cp.Origin != b.old.desc.Origin {
		err = fmt.Errorf("its checkpoint is of %q", cp.Origin)
	}
	if err != nil {
		return siteDamaged(err)
	}
	b.old.shown, b.old.size, b.old.root = true, cp.Size, cp.Root
	if b.old.notes, err = readCount(b.draft.read); err != nil {
		return siteDamaged(err)
	}
	sizes, err := b.widthsOf(b.draft.read, b.old.notes, cp.Size)
	if err != nil {
		return siteDamaged(err)
	}
	b.old.narrow = map[string]bool{}
	partials(cp.Size, sizes, func(t tlog.Tile) { b.old.narrow[pathOf(t)] = true })
	return nil
}

// compare finds out what is to be done.
func (b *build) compare() error {
	b.built.Before = b.old.size
	switch {
	case b.cp == nil && b.old.shown:
		return fmt.Errorf("%w: it has published nothing, and the site has its checkpoint of size %d", ErrRolledBack, b.old.size)
	case b.cp == nil:
		return nil
	case b.old.size > b.cp.Size:
		return fmt.Errorf("%w: its checkpoint has size %d, and the site has one of size %d", ErrRolledBack, b.cp.Size, b.old.size)
	case b.old.shown && b.old.size == b.cp.Size && b.old.root != b.cp.Root:
		return fmt.Errorf("%w: its checkpoint of size %d has root %s, and that of the site %s", ErrRolledBack, b.cp.Size, b.cp.Root, b.old.root)
	}
	// Names of hint files change with the size, from one power of 16 to the next: then all is made anew.
	b.draft.fresh = !b.old.shown || b.digits(b.old.size) != b.digits(b.cp.Size)
	if !b.draft.fresh {
		b.from = b.old.size
	}
	return nil
}

// grow reads and verifies what is new.
func (b *build) grow(ctx context.Context) (err error) {
	if b.tree, err = resume(b.from, func(t tlog.Tile) ([]byte, error) { return b.draft.read(tiles.Path(t)) }, b.fullTile); err != nil {
		return siteDamaged(err)
	}
	if b.from > 0 && b.tree.root() != b.old.root {
		return fmt.Errorf("%w: its tiles do not hash to the root of its checkpoint", ErrSiteDamaged)
	}
	have := int64(0)
	if !b.draft.fresh {
		have = b.old.notes
	}
	if b.history, err = openHistory(ctx, b.draft, b.Log, b.told, b.cp.Origin, have, b.cp.Size); err != nil {
		return err
	}
	defer b.history.stop()
	b.history.rootAt, b.history.timeAt = b.rootAt, b.timeAt
	b.hints = &hints{draft: b.draft, digits: b.digits(b.cp.Size), full: cmp.Or(b.full, fullHints), first: b.from, twins: b.twin}
	b.firsts = map[int64]story{}
	if err := b.resumePrev(); err != nil {
		return err
	}
	if err := b.history.take(b.from); err != nil {
		return err
	}
	for t, got := range b.bundles(ctx) {
		if err := b.bundle(t, got); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.tree.root() != b.cp.Root {
		return fmt.Errorf("%w: its %d entries do not hash to the root of its checkpoint, %s", ErrDamaged, b.cp.Size, b.cp.Root)
	}
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.history.finish(); err != nil {
		return err
	}
	return b.narrow()
}

// answer is what the log gives of a bundle.
type answer struct {
	data []byte
	err  error
}

// ahead is how many bundles are asked for at a time: a log far away takes long for each.
const ahead = 4

// bundles reads the bundles with the new entries, in their order.
func (b *build) bundles(ctx context.Context) iter.Seq2[tlog.Tile, answer] {
	return func(yield func(tlog.Tile, answer) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var asked []chan answer // the next ones, each with room for its answer
		defer func() {
			cancel()
			for _, a := range asked {
				<-a
			}
		}()
		next := b.from / tiles.Width
		for n := next; n*tiles.Width < b.cp.Size; n++ {
			for ; len(asked) < ahead && next*tiles.Width < b.cp.Size; next++ {
				a, t := make(chan answer, 1), tiles.Widest(-1, next, b.cp.Size)
				asked = append(asked, a)
				go func() {
					data, err := readTile(ctx, b.Log, t)
					a <- answer{data, err}
				}()
			}
			got := <-asked[0]
			asked = asked[1:]
			if ctx.Err() != nil || !yield(tiles.Widest(-1, n, b.cp.Size), got) {
				return
			}
		}
	}
}

// bundle adds what is new of one bundle of the log.
func (b *build) bundle(t tlog.Tile, got answer) error {
	data, err := got.data, got.err
	if isMissing(err) {
		return fmt.Errorf("%w: of its %d entries: %w", ErrMissing, b.cp.Size, err)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", tiles.Path(t), err)
	}
	leaves, err := tiles.ParseBundle(data, t.W)
	if err != nil {
		return fmt.Errorf("%w: %s %w", ErrDamaged, tiles.Path(t), err)
	}
	first, _ := tiles.Span(t)
	for i, leaf := range leaves {
		index := first + int64(i)
		hash := tlog.RecordHash(leaf)
		if index < b.from {
			if at := i * tlog.HashSize; hash != tlog.Hash(b.tree.edge[0][at:at+tlog.HashSize]) {
				return fmt.Errorf("%w: its entry %d is not the one of the site", ErrRolledBack, index)
			}
			continue
		}
		if err := b.add(index, leaf, hash); err != nil {
			return err
		}
	}
	if t.W < tiles.Width {
		b.last = data
		return nil
	}
	if err := b.draft.write(tiles.Path(t), data); err != nil {
		return err
	}
	if len(b.hints.keys) >= batch {
		return b.flush()
	}
	return nil
}

// add adds a new entry.
func (b *build) add(index int64, leaf []byte, hash tlog.Hash) error {
	if err := b.tree.add(hash); err != nil {
		return err
	}
	if b.tree.size == b.old.size && b.tree.root() != b.old.root {
		return fmt.Errorf("%w: its first %d entries are not those of the site", ErrRolledBack, b.old.size)
	}
	// A leaf that is no entry has its place in the log all the same, and is found by its index alone.
	k := keys{}
	b.newest = time.Time{}
	if e, err := entry.Parse(leaf); err == nil {
		k, b.newest = keysOf(&e), e.SubmittedAt
	} else {
		b.built.Unparsed++
	}
	b.hints.keys = append(b.hints.keys, k)
	return b.history.take(b.tree.size)
}

// readTile reads a tile or bundle as wide as it is asked for.
// SPEC tlog-tiles: a partial one may go away when the full one is there, of which it is the beginning.
func readTile(ctx context.Context, src Source, t tlog.Tile) ([]byte, error) {
	data, err := src.Tile(ctx, tiles.Path(t))
	if t.W == tiles.Width || !isMissing(err) {
		return data, err
	}
	full := t
	full.W = tiles.Width
	if data, err = src.Tile(ctx, tiles.Path(full)); err != nil {
		return nil, err
	}
	return tiles.Prefix(data, full, t.W)
}

func (b *build) fullTile(t tlog.Tile, data []byte) error { return b.draft.write(tiles.Path(t), data) }

// rootAt is the root of the tree at a size that it has or had.
func (b *build) rootAt(size int64) (tlog.Hash, error) {
	switch size {
	case b.tree.size:
		return b.tree.root(), nil
	case 0:
		return trust.EmptyRoot, nil
	}
	return tlog.TreeHash(size, tlog.HashReaderFunc(func(indexes []int64) (list []tlog.Hash, err error) {
		for _, index := range indexes {
			t := tlog.TileForIndex(tiles.Height, index)
			t = tiles.Widest(t.L, t.N, b.from)
			data, err := b.draft.read(tiles.Path(t))
			if err != nil {
				return nil, siteDamaged(err)
			}
			hash, err := tlog.HashFromTile(t, data, index)
			if err != nil {
				return nil, siteDamaged(err)
			}
			list = append(list, hash)
		}
		return list, nil
	}))
}

// timeAt is when the last entry of the tree of a size was submitted, which the log says itself: zero if there is none, or
// if that leaf is no entry.
func (b *build) timeAt(size int64) (time.Time, error) {
	switch {
	case size == 0:
		return time.Time{}, nil
	case size > b.from: // notes are taken when the tree has their size
		return b.newest, nil
	}
	t := tiles.Widest(-1, (size-1)/tiles.Width, b.from)
	data, err := b.draft.read(tiles.Path(t))
	if err != nil {
		return time.Time{}, siteDamaged(err)
	}
	leaves, err := tiles.ParseBundle(data, t.W)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %s %w", ErrSiteDamaged, tiles.Path(t), err)
	}
	e, err := entry.Parse(leaves[(size-1)%tiles.Width])
	if err != nil {
		return time.Time{}, nil
	}
	return e.SubmittedAt, nil
}

// resumePrev reads the lines of prev that the last bundle of the folder has.
func (b *build) resumePrev() (err error) {
	if w := int(b.from % tiles.Width); w > 0 {
		t := tlog.Tile{H: tiles.Height, L: -1, N: b.from / tiles.Width, W: w}
		if b.prev, err = b.draft.read(hintPath(t)); err != nil {
			return siteDamaged(err)
		}
		if _, err := ParsePrev(b.prev, t.N*tiles.Width, w); err != nil {
			return siteDamaged(err)
		}
	}
	return nil
}

// flush writes the hints of what was gathered.
func (b *build) flush() error {
	lines, err := b.hints.write()
	if err != nil {
		return err
	}
	for i, line := range lines {
		b.prev = append(b.prev, line...)
		if index := b.hints.first + int64(i); index%tiles.Width == tiles.Width-1 {
			if err := b.draft.write(hintPath(tlog.Tile{H: tiles.Height, L: -1, N: index / tiles.Width, W: tiles.Width}), b.prev); err != nil {
				return err
			}
			b.prev = nil
		}
	}
	b.hints.first += int64(len(lines))
	b.hints.keys = b.hints.keys[:0]
	return b.recordTwins()
}

// prevLevel stands for prev/ among the levels of tiles, where -1 stands for entry bundles.
const prevLevel = -2

func pathOf(t tlog.Tile) string {
	if t.L == prevLevel {
		return hintPath(t)
	}
	return tiles.Path(t)
}

// widthsOf are the sizes whose partial tiles a site has: that of its checkpoint, and those of the newest notes of the
// history. A reader that holds an older checkpoint, as a cache does for some minutes, finds the tiles of it.
func (b *build) widthsOf(read func(string) ([]byte, error), count, size int64) ([]int64, error) {
	notes, err := readNotes(read, count, widths)
	if err != nil {
		return nil, err
	}
	sizes := []int64{size}
	for _, note := range notes {
		cp, _, err := trust.CutCheckpoint(note)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, cp.Size)
	}
	return sizes, nil
}

// partials gives the partial tiles, bundles and files of prev that trees of some sizes, and the last of them, have in
// common. Where the tile is full by now there is only that.
func partials(size int64, sizes []int64, give func(tlog.Tile)) {
	given := map[tlog.Tile]bool{}
	for _, s := range sizes {
		for level := prevLevel; tiles.Count(level, size) > 0; level++ {
			t := tiles.Widest(level, tiles.Count(level, size)/tiles.Width, s)
			if t.W > 0 && t.W < tiles.Width && !given[t] {
				given[t] = true
				give(t)
			}
		}
	}
}

// narrow writes the partial tiles that the site did not have, and drops those that nobody asks for any more.
func (b *build) narrow() error {
	sizes, err := b.widthsOf(b.draft.read, b.history.count, b.cp.Size)
	if err != nil {
		return err
	}
	now := map[string]bool{}
	partials(b.cp.Size, sizes, func(t tlog.Tile) {
		path := pathOf(t)
		now[path] = true
		if err != nil || b.old.narrow[path] {
			return
		}
		var data []byte
		switch t.L {
		case prevLevel:
			data = firstLines(b.prev, t.W)
		case -1:
			wide := tiles.Widest(-1, t.N, b.cp.Size)
			if data, err = tiles.Prefix(b.last, wide, t.W); err != nil {
				return
			}
		default:
			data = b.tree.edge[t.L][:t.W*tlog.HashSize]
		}
		err = b.draft.write(path, data)
	})
	if err != nil {
		return err
	}
	for path := range b.old.narrow {
		if !now[path] {
			b.draft.drop(path)
		}
	}
	return b.dropHints()
}

func (b *build) digits(size int64) int { return digits(size, cmp.Or(b.three, threeDigits)) }

// dropHints removes hint files of a smaller site, which had shorter names.
func (b *build) dropHints() error {
	if !b.old.shown || !b.draft.fresh {
		return nil
	}
	for _, folder := range []string{"lookup", "heads"} {
		list, err := fs.ReadDir(b.draft.root.FS(), folder)
		if err != nil && !isMissing(err) {
			return err
		}
		for _, f := range list {
			if digits, _, _ := strings.Cut(f.Name(), "-"); len(digits) == b.digits(b.old.size) {
				b.draft.drop(folder + "/" + f.Name())
			}
		}
	}
	return nil
}

func firstLines(text []byte, n int) []byte {
	end := 0
	for range n {
		end += bytes.IndexByte(text[end:], '\n') + 1
	}
	return text[:end]
}

// bundleCache is the bundle that was read last.
type bundleCache struct {
	tile   tlog.Tile
	leaves [][]byte
}

// leaf is an entry of the site as it will be.
func (b *build) leaf(index int64) ([]byte, error) {
	t := tiles.Widest(-1, index/tiles.Width, b.cp.Size)
	if b.read.tile != t || b.read.leaves == nil {
		data, err := b.last, error(nil) // it is written in the end
		if t.W == tiles.Width {
			data, err = b.draft.read(tiles.Path(t))
		}
		if err != nil {
			return nil, siteDamaged(err)
		}
		leaves, err := tiles.ParseBundle(data, t.W)
		if err != nil {
			return nil, fmt.Errorf("%w: %s %w", ErrSiteDamaged, tiles.Path(t), err)
		}
		b.read = bundleCache{t, leaves}
	}
	return b.read.leaves[index%tiles.Width], nil
}

// story is what equivocations are told by.
type story struct{ packRoot, manifest trust.Digest }

func (b *build) story(index int64) (story, error) {
	leaf, err := b.leaf(index)
	if err != nil {
		return story{}, err
	}
	e, err := entry.Parse(leaf)
	if err != nil {
		return story{}, siteDamaged(err)
	}
	return story{e.PackRootSHA256, e.ManifestSHA256}, nil
}

// twin compares a new entry with earlier ones whose pack root begins like its own, oldest first.
func (b *build) twin(earlier []int64, index int64) error {
	this, err := b.story(index)
	if err != nil {
		return err
	}
	for _, i := range earlier {
		// Many may have the pack root of one. Without its story at hand they would read its bundle and their own in turns.
		other, known := b.firsts[i]
		if !known {
			if other, err = b.story(i); err != nil {
				return err
			}
			b.firsts[i] = other
		}
		// The first manifest is what all others are compared with.
		if other.packRoot == this.packRoot {
			if other.manifest != this.manifest {
				b.twins = append(b.twins, Twin{this.packRoot, i, index})
			}
			return nil
		}
	}
	return nil
}

// recordTwins appends what was found, in the order of the log.
func (b *build) recordTwins() error {
	clear(b.firsts)
	if len(b.twins) == 0 {
		return nil
	}
	slices.SortFunc(b.twins, func(a, c Twin) int { return cmp.Compare(a.Index, c.Index) })
	number, last := 0, []byte(nil)
	err := b.twinFiles(func(_ string, text []byte) error {
		if last != nil {
			number++
		}
		last = text
		return nil
	})
	if err != nil {
		return err
	}
	var more []byte
	lines := bytes.Count(last, []byte("\n"))
	for _, t := range b.twins {
		if lines == cmp.Or(b.full, fullTwins) {
			if err := b.hints.append(numbered(twinsFile, number), last, more); err != nil {
				return err
			}
			number, last, more, lines = number+1, nil, nil, 0
		}
		more = append(more, t.String()...)
		lines++
	}
	b.twins = nil
	return b.hints.append(numbered(twinsFile, number), last, more)
}

func (b *build) twinFiles(read func(name string, text []byte) error) error {
	return b.draft.series(cmp.Or(b.full, fullTwins), func(n int) string { return numbered(twinsFile, n) }, read)
}

// newestTwins is how many records pages and feed are made of.
const newestTwins = 200

// readTwins gives the newest records, and how many pack roots there are in all.
func (b *build) readTwins() (newest []Twin, roots int, err error) {
	firsts, last := map[int64]bool{}, int64(-1)
	err = b.twinFiles(func(_ string, text []byte) error {
		return eachTwin(text, last, func(t Twin) {
			last, firsts[t.First] = t.Index, true
			if newest = append(newest, t); len(newest) >= 2*newestTwins {
				newest = slices.Clone(newest[len(newest)-newestTwins:])
			}
		})
	})
	if err != nil {
		return nil, 0, err
	}
	return newest[max(0, len(newest)-newestTwins):], len(firsts), nil
}
