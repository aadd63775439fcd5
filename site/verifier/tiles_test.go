package verifier_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// runNode runs a script that may import the modules of this folder, and gives what it writes.
func runNode(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: node is not here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, node, append([]string{"--input-type=module", "-e", script}, args...)...)
	c.Stderr, c.WaitDelay = os.Stderr, time.Second
	out, err := c.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, out)
	}
	return out
}

// tree is a log in memory, and on disk as tiles.
type tree []tlog.Hash

func (s tree) ReadHashes(indexes []int64) (list []tlog.Hash, err error) {
	for _, i := range indexes {
		list = append(list, s[i])
	}
	return list, nil
}

func leafOf(i int64) []byte { return fmt.Appendf(nil, "entry %d", i) }

// writeLog writes a log of so many entries below dir as tlog-tiles has it.
func writeLog(t *testing.T, dir string, size int64) tree {
	t.Helper()
	var s tree
	for i := range size {
		hashes, err := tlog.StoredHashes(i, leafOf(i), s)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, hashes...)
	}
	for _, tile := range tlog.NewTiles(tiles.Height, 0, size) {
		data, err := tlog.ReadTileData(tile, s)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, tiles.Path(tile)), data)
	}
	for n := int64(0); n*tiles.Width < size; n++ {
		bundle := tiles.Widest(-1, n, size)
		var data []byte
		for i := range int64(bundle.W) {
			leaf := leafOf(n*tiles.Width + i)
			data = append(binary.BigEndian.AppendUint16(data, uint16(len(leaf))), leaf...)
		}
		writeFile(t, filepath.Join(dir, tiles.Path(bundle)), data)
	}
	return s
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s tree) root(t *testing.T, size int64) string {
	t.Helper()
	root, err := tlog.TreeHash(size, s)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(root[:])
}

// here is the URL of this folder.
func here(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	return "file://" + dir
}

// prover makes in the browser's way all proofs that are asked for, checks them, and checks that nothing like them passes.
const prover = `
import { readFileSync } from 'node:fs';
const [here, dir, asked] = process.argv.slice(-3);
const { Tree, climb, consistent, included, leafHash, readItem } = await import(here + '/tiles.mjs');
const get = async (path) => { try { return new Uint8Array(readFileSync(dir + '/' + path)); } catch { return null; } };
const b64 = (b) => Buffer.from(b).toString('base64'), bytes = (t) => new Uint8Array(Buffer.from(t, 'base64'));
const flip = (b) => b.map((x, i) => (i === 31 ? x ^ 1 : x));
const out = [];
for (const { log, old, size, index, oldRoot, root } of JSON.parse(readFileSync(asked))) {
  const tree = new Tree(BigInt(log), get), n = BigInt(size), r = bytes(root);
  if (index !== undefined) {
    const i = BigInt(index), leaf = await leafHash(await readItem(get, 'tile/entries', i, BigInt(log))), proof = await tree.inclusion(i, n);
    const bad = [
      [leaf, i, n, [...proof, leaf], r], [leaf, i, n, proof.slice(1), r], [flip(leaf), i, n, proof, r], [leaf, i, n, proof, flip(r)],
      [leaf, n, n, proof, r], [leaf, i + n, n, proof, r], [leaf, -1n, n, proof, r],
      ...proof.map((_, k) => [leaf, i, n, proof.map((h, j) => (j === k ? flip(h) : h)), r]),
    ];
    if (i > 0n) bad.push([leaf, i - 1n, n, proof, r]);
    let passed = 0;
    for (const [k, b] of bad.entries()) if (!(proof.length === 0 && k === 1) && (await included(...b))) passed++;
    const way = await climb(leaf, i, n, proof);
    out.push({ proof: proof.map(b64), ok: (await included(leaf, i, n, proof, r)) && way.steps.length === proof.length, passed });
  } else {
    const o = BigInt(old), q = bytes(oldRoot), proof = await tree.consistency(o, n);
    const bad = [
      [o, q, n, r, [...proof, r]], [o, flip(q), n, r, proof],
      ...proof.map((_, k) => [o, q, n, r, proof.map((h, j) => (j === k ? flip(h) : h))]),
    ];
    if (proof.length > 0) bad.push([o, q, n, r, proof.slice(1)], [o, q, n, flip(r), proof]);
    if (o === n) bad.push([o, q, n, flip(r), proof]);
    if (o < n) bad.push([n, r, o, q, proof]);
    let passed = 0;
    for (const b of bad) if (await consistent(...b)) passed++;
    out.push({ proof: proof.map(b64), ok: await consistent(o, q, n, r, proof), passed });
  }
}
console.log(JSON.stringify(out));
`

type question struct {
	Log     int64  `json:"log"`
	Old     *int64 `json:"old,omitempty"`
	Size    int64  `json:"size"`
	Index   *int64 `json:"index,omitempty"`
	OldRoot string `json:"oldRoot,omitempty"`
	Root    string `json:"root"`
}

func (s tree) ask(t *testing.T, log, size int64, index, old *int64) question {
	q := question{Log: log, Size: size, Index: index, Old: old, Root: s.root(t, size)}
	if old != nil {
		q.OldRoot = s.root(t, *old)
	}
	return q
}

// ENT-12, ENT-13
func TestProofsFromTilesAreThoseOfTheTreeAndNothingLikeThemPasses(t *testing.T) {
	for _, log := range []int64{1, 2, 11, 256, 257, 600, 66_000} {
		t.Run(fmt.Sprint(log), func(t *testing.T) {
			dir := t.TempDir()
			s := writeLog(t, dir, log)
			sizes, positions := []int64{log}, []int64{0, 1, 254, 255, 256, 257, 511, 512, 599, 65_535, 65_536, log - 1}
			if log <= 16 {
				sizes, positions = nil, nil
				for i := range log {
					sizes, positions = append(sizes, i+1), append(positions, i)
				}
			} else {
				sizes = append(sizes, log-1, log/2+1)
			}
			var asked []question
			for _, size := range sizes {
				for _, i := range positions {
					if i < size {
						asked = append(asked, s.ask(t, log, size, &i, nil))
						old := i + 1
						asked = append(asked, s.ask(t, log, size, nil, &old))
					}
				}
				zero := int64(0)
				asked = append(asked, s.ask(t, log, size, nil, &zero))
			}
			answers := prove(t, dir, asked)
			for i, q := range asked {
				checkAnswer(t, s, q, answers[i])
			}
		})
	}
}

type answer struct {
	Proof  []string
	OK     bool
	Passed int
}

func prove(t *testing.T, dir string, asked []question) (answers []answer) {
	t.Helper()
	text, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "asked.json")
	writeFile(t, file, text)
	if err := json.Unmarshal(runNode(t, prover, here(t), dir, file), &answers); err != nil || len(answers) != len(asked) {
		t.Fatalf("%d of %d answers: %v", len(answers), len(asked), err)
	}
	return answers
}

func checkAnswer(t *testing.T, s tree, q question, a answer) {
	t.Helper()
	var want []tlog.Hash
	var err error
	what := ""
	switch {
	case q.Index != nil:
		want, err = tlog.ProveRecord(q.Size, *q.Index, s)
		what = fmt.Sprintf("inclusion of %d in %d", *q.Index, q.Size)
	case *q.Old > 0:
		want, err = tlog.ProveTree(q.Size, *q.Old, s)
		what = fmt.Sprintf("from %d to %d", *q.Old, q.Size)
	default:
		what = fmt.Sprintf("from 0 to %d", q.Size)
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, h := range want {
		list = append(list, base64.StdEncoding.EncodeToString(h[:]))
	}
	if fmt.Sprint(a.Proof) != fmt.Sprint(list) {
		t.Errorf("%s: %v, want %v", what, a.Proof, list)
	}
	if !a.OK || a.Passed != 0 {
		t.Errorf("%s: verified %v, and %d wrong proofs too", what, a.OK, a.Passed)
	}
}

func TestPathsAndBundlesAreThoseOfTheGrammar(t *testing.T) {
	numbers := []int64{0, 1, 9, 67, 999, 1000, 123_456, 999_999, 1_000_000, 1_234_067, 1 << 40}
	const script = `
const [here, numbers] = process.argv.slice(-2);
const { pathOf, splitBundle } = await import(here + '/tiles.mjs');
const refused = (bytes, n, more) => { try { splitBundle(Uint8Array.from(bytes), n, more); return false; } catch (err) { return err.constructor.name === 'Damaged'; } };
console.log(JSON.stringify({
  paths: JSON.parse(numbers).flatMap((n) => [pathOf('tile/0', BigInt(n)), pathOf('tile/entries', BigInt(n), 7n)]),
  items: splitBundle(Uint8Array.from([0, 2, 65, 66, 0, 0, 0, 1, 67]), 3).map((b) => String.fromCharCode(...b)),
  refused: [refused([], 1), refused([0], 1), refused([0, 2, 65], 1), refused([0, 1, 65, 0], 1), refused([0, 1, 65, 0], 2, true), !refused([0, 1, 65, 0], 1, true)],
}));
`
	text, err := json.Marshal(numbers)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Paths, Items []string
		Refused      []bool
	}
	if err := json.Unmarshal(bytes.TrimSpace(runNode(t, script, here(t), string(text))), &got); err != nil {
		t.Fatal(err)
	}
	for i, n := range numbers {
		for k, tile := range []tlog.Tile{{H: tiles.Height, L: 0, N: n, W: tiles.Width}, {H: tiles.Height, L: -1, N: n, W: 7}} {
			if want := tiles.Path(tile); got.Paths[2*i+k] != want {
				t.Errorf("%s, want %s", got.Paths[2*i+k], want)
			}
		}
	}
	if fmt.Sprint(got.Items) != "[AB  C]" || fmt.Sprint(got.Refused) != "[true true true true true true]" {
		t.Errorf("bundles: %q, refused %v", got.Items, got.Refused)
	}
}
