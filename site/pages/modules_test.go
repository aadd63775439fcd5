package pages_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/site"
	"github.com/Haserjian/assay-ledger/site/sitetest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// browser runs the modules of a site as a page of it would: files come from its folder, and what a page remembers is in
// memory.json beside the script. It gives what openLog says, and what proofs and lists of hints lead to.
const browser = `
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
const [dir, memoryFile] = process.argv.slice(-2);
const { proofs = [], lookups = [], heads = [], compare = [], times = [], noCrypto = false, noStorage = false, clock = 0, served = dir, lies = {} } = JSON.parse(readFileSync(0));
const kept = new Map(existsSync(memoryFile) ? JSON.parse(readFileSync(memoryFile)) : []), fetched = [];
globalThis.localStorage = new Proxy({
  getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v), removeItem: (k) => kept.delete(k),
}, { ownKeys: () => [...kept.keys()], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) });
if (noStorage) Object.defineProperty(globalThis, 'localStorage', { get() { throw new Error('blocked'); } });
if (clock) Date.now = () => clock * 1000;
if (noCrypto) Object.defineProperty(globalThis, 'crypto', { value: {} });
globalThis.fetch = async (url) => {
  const path = url.pathname.slice(dir.length + 1);
  fetched.push(path);
  if (lies[path] === null) return new Response('', { status: 404 });
  if (lies[path] !== undefined) return new Response(Buffer.from(lies[path], 'base64'));
  try { return new Response(readFileSync(served + '/' + path)); } catch { return new Response('', { status: 404 }); }
};
const from = (name) => import('file://' + dir + '/assets/' + name + '.mjs');
const { kindOf, openLog, openOld, why } = await from('log'), { prove, proveHints } = await from('prove'), search = await from('search'), seen = await from('seen'), { fileOf } = await from('proof');
const { consistent } = await import('file://' + dir + '/verifier/tiles.mjs');
const attempt = async (f) => { try { return await f(); } catch (err) { return { kind: kindOf(err), why: why(err) }; } };
const out = { log: await attempt(async () => {
  const log = await openLog();
  globalThis.opened = log;
  return { size: Number(log.checkpoint.size), seen: log.seen.kind, was: log.was && { keys: log.was.keys ?? [], otherKeys: log.was.otherKeys ?? false, damaged: log.was.damaged ?? false }, keys: log.keys, policy: log.policyDigest,
    standing: seen.standing(log), heads: seen.warnings(log).map((w) => w.head), said: seen.warnings(log).map((w) => w.text).join(' '), remembered: seen.remembered(log)[1], time: Number(seen.quorumTime(log.checkpoint, log.policy) ?? 0), cosigned: log.checkpoint.cosigned.map((c) => c.called) };
}), proofs: [], lookups: [], heads: [], compare: [], times: [] };
const log = globalThis.opened;
if (log) {
  for (const i of proofs) out.proofs.push(await attempt(async () => {
    const found = await prove(log, BigInt(i)), file = Buffer.from(await fileOf(found, log.note).arrayBuffer());
    return { leaf: Buffer.from(found.leaf).toString('base64'), problem: found.problem, proof: file.toString('base64'), steps: found.steps.length };
  }));
  for (const [kinds, digest] of lookups) out.lookups.push(await attempt(async () => {
    const before = fetched.length, found = kinds === 'name' ? await search.lookupName(digest, log.checkpoint.size) : await search.lookup(kinds, digest, log.checkpoint.size);
    const gets = fetched.length - before, { found: proved, listed, cut } = await proveHints(log, found, digest);
    return { found: found.map(({ kind, index }) => kind + index), gets, listed, cut, proved: proved.map(({ index }) => Number(index)) };
  }));
  for (const [kind, key] of heads) out.heads.push(await attempt(async () => {
    const head = await search.heads(kind, key, log.checkpoint.size);
    return head && { count: Number(head.count), newest: head.newest.map(Number) };
  }));
  if (compare.length > 0) out.length = Number(await (await from('log')).length());
  for (const [a, b, n] of compare) out.compare.push(await attempt(async () => {
    const from = await openOld(log, BigInt(a), BigInt(n)), to = await openOld(log, BigInt(b), BigInt(n));
    return { enough: from.enough && to.enough, holds: await consistent(from.size, from.root, to.size, to.root, await log.tree.consistency(from.size, to.size)) };
  }));
}
for (const i of times) out.times.push(await (await from('stamp')).checkTime((await prove(log, BigInt(i))).entry));
out.fetched = fetched;
writeFileSync(memoryFile, JSON.stringify([...kept]));
console.log(JSON.stringify(out));
`

type asked struct {
	Proofs    []int64     `json:"proofs,omitempty"`
	Lookups   [][2]string `json:"lookups,omitempty"`
	Heads     [][2]string `json:"heads,omitempty"`
	Compare   [][3]int64  `json:"compare,omitempty"`
	Times     []int64     `json:"times,omitempty"`
	NoCrypto  bool        `json:"noCrypto,omitempty"`
	NoStorage bool        `json:"noStorage,omitempty"`
	Clock     int64       `json:"clock,omitempty"` // in seconds; 0: that of this machine

	Served string            `json:"served,omitempty"` // the site that is served at the address of the visited one
	Lies   map[string][]byte `json:"lies,omitempty"`   // instead of its files; nil: it is not there
}

type told struct {
	Log struct {
		Size             int64
		Seen, Kind, Why  string
		Keys, Heads      []string
		Policy, Standing string
		Said, Remembered string
		Time             int64
		Was              *struct {
			Keys               []string
			OtherKeys, Damaged bool
		}
		Cosigned []string
	}
	Proofs []struct {
		Leaf, Proof, Kind, Why string
		Problem                *string
		Steps                  int
	}
	Lookups []struct {
		Found        []string
		Gets, Listed int
		Cut          bool
		Proved       []int64
		Kind, Why    string
	}
	Heads []*struct {
		Count     int64
		Newest    []int64
		Kind, Why string
	}
	Compare []struct {
		Holds, Enough bool
		Kind, Why     string
	}
	Length  int64
	Times   []struct{ Kind, Text, Short string }
	Fetched []string
}

// reader is a browser that comes back.
type reader struct {
	t      *testing.T
	node   string
	memory string
}

func newReader(t *testing.T) reader {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED: node is not here")
	}
	return reader{t, node, filepath.Join(t.TempDir(), "memory.json")}
}

func (r reader) visit(dir string, a asked) (out told) {
	r.t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, r.node, "--input-type=module", "-e", browser, dir, r.memory)
	c.Stdin = bytes.NewReader(text)
	c.Stderr, c.WaitDelay = os.Stderr, time.Second
	said, err := c.Output()
	if err != nil {
		r.t.Fatalf("node: %v\n%s", err, said)
	}
	if err := json.Unmarshal(said, &out); err != nil {
		r.t.Fatal(err)
	}
	return out
}

var published = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// newLog is a log of so many entries, published at each of the sizes.
func newLog(t *testing.T, sizes ...int64) *sitetest.Log {
	t.Helper()
	l, err := sitetest.New("pages")
	if err != nil {
		t.Fatal(err)
	}
	for i, size := range sizes {
		if err := l.Grow(size); err != nil {
			t.Fatal(err)
		}
		if err := l.Publish(published.Add(time.Duration(i) * time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func build(t *testing.T, l *sitetest.Log) string {
	t.Helper()
	return buildIn(t, l, filepath.Join(t.TempDir(), "site"))
}

func buildIn(t *testing.T, l *sitetest.Log, dir string) string {
	t.Helper()
	if _, err := site.Build(t.Context(), site.Config{Log: l, Out: dir, Program: "test"}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rich is a log of 700 entries, something that is none, and a twin of entry 3; its site is built once.
func rich(t *testing.T) (*sitetest.Log, string) {
	t.Helper()
	l := newLog(t, 1, 2, 255, 256, 257, 300, 700)
	twin := sitetest.Entry(701)
	twin.PackRootSHA256 = sitetest.Entry(3).PackRootSHA256
	for _, leaf := range [][]byte{[]byte("no entry"), twin.Leaf()} {
		if err := l.Add(leaf); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Publish(published.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	once.Do(func() { richSite = buildIn(t, l, filepath.Join(scratch, "site")) })
	if richSite == "" {
		t.Fatal("the site was not built")
	}
	return l, richSite
}

var (
	once              sync.Once
	scratch, richSite string
)

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "pages"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(scratch); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func TestAnEntryIsProvedInTheBrowserAndItsFileVerifiesElsewhere(t *testing.T) {
	l, dir := rich(t)
	indexes := []int64{0, 1, 254, 255, 256, 511, 512, 699, 700, 701, 702}
	got := newReader(t).visit(dir, asked{Proofs: indexes})
	if got.Log.Size != 702 || got.Log.Seen != "first" || !slices.Equal(got.Log.Cosigned, []string{"w1", "w2"}) {
		t.Fatalf("%+v", got.Log)
	}
	text, err := l.Policy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	policy, err := trust.ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range got.Proofs {
		if indexes[i] == 702 {
			if p.Kind != "unchecked" {
				t.Errorf("an entry that is not there: %+v", p)
			}
			continue
		}
		leaf, _ := base64.StdEncoding.DecodeString(p.Leaf)
		file, _ := base64.StdEncoding.DecodeString(p.Proof)
		proof, err := trust.ParseProof(file)
		if err != nil || !bytes.Equal(leaf, l.Leaves[indexes[i]]) || !bytes.Equal(proof.Extra, leaf) {
			t.Fatalf("entry %d: %v %+v", indexes[i], err, p)
		}
		if _, err := policy.CheckProof(proof, leaf); err != nil {
			t.Errorf("entry %d: %v", indexes[i], err)
		}
		if (p.Problem != nil) != (indexes[i] == 700) {
			t.Errorf("entry %d: problem %v", indexes[i], p.Problem)
		}
	}
}

// A site that goes back, forks or stays is told from what this browser has verified before.
func TestAReaderWhoComesBackSeesWhatChanged(t *testing.T) {
	_, large := rich(t)
	small := build(t, newLog(t, 300))
	fork := newLog(t)
	for i := range int64(702) {
		e := sitetest.Entry(i)
		e.PackID += "x"
		if err := fork.Add(e.Leaf()); err != nil {
			t.Fatal(err)
		}
	}
	if err := fork.Publish(published); err != nil {
		t.Fatal(err)
	}
	forked := build(t, fork)
	for _, c := range []struct {
		name  string
		sites []string
		seen  []string
	}{
		{"it grows", []string{small, small, large, large}, []string{"first", "same", "grown", "same"}},
		{"it goes back", []string{large, small, large}, []string{"first", "older", "same"}},
		{"another of the same size", []string{large, forked, large}, []string{"first", "forked", "same"}},
		{"another that is larger", []string{small, forked, large}, []string{"first", "broken", "grown"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReader(t)
			var seen []string
			for _, dir := range c.sites {
				// The path of a site is a part of what is remembered, so all are visited at one address.
				got := r.visit(small, asked{Served: dir})
				seen = append(seen, got.Log.Seen+got.Log.Why)
			}
			if !slices.Equal(seen, c.seen) {
				t.Errorf("saw %q, want %q", seen, c.seen)
			}
		})
	}
}

// What a mirror changes does not lead to what was signed, or is said to be missing; nothing of it is shown as proved.
func TestAMirrorThatLiesProvesNothing(t *testing.T) {
	_, dir := rich(t)
	file := func(path string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	bundle, tile, note := file("tile/entries/000"), file("tile/0/000"), file("checkpoint")
	otherHash := bytes.Clone(tile)
	otherHash[4*32]++
	lines := strings.Split(string(note), "\n")
	lines[2] = base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, c := range []struct {
		name, path string
		lie        []byte
		log, proof string // kinds
	}{
		{"one byte of an entry", "tile/entries/000", bytes.Replace(bundle, []byte("pack_000005"), []byte("pack_000006"), 1), "", "bad"},
		{"bundles that are swapped", "tile/entries/000", file("tile/entries/001"), "", "bad"},
		{"a bundle that is cut", "tile/entries/000", bundle[:len(bundle)-1], "", "bad"},
		{"a bundle that is a page", "tile/entries/000", []byte("<!doctype html>"), "", "bad"},
		{"a bundle that is missing", "tile/entries/000", nil, "", "unchecked"},
		{"a hash of a tile", "tile/0/000", otherHash, "", "bad"},
		{"a tile that is cut", "tile/0/000", tile[:len(tile)-1], "", "bad"},
		{"a tile that is missing", "tile/0/000", nil, "", "unchecked"},
		{"a root of the mirror's own", "checkpoint", []byte(strings.Join(lines, "\n")), "bad", ""},
		{"a checkpoint without a cosignature", "checkpoint", note[:bytes.LastIndex(note[:len(note)-1], []byte("\n"))+1], "bad", ""},
		{"no checkpoint", "checkpoint", nil, "unchecked", ""},
		{"a policy that is none", "policy", []byte("quorum everybody\n"), "bad", ""},
		{"nothing but the truth", "checkpoint", note, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := newReader(t).visit(dir, asked{Proofs: []int64{5}, Lies: map[string][]byte{c.path: c.lie}})
			if got.Log.Kind != c.log {
				t.Fatalf("the log: %+v, want %q", got.Log, c.log)
			}
			if c.log == "" && got.Proofs[0].Kind != c.proof {
				t.Errorf("the entry: %+v, want %q", got.Proofs[0], c.proof)
			}
		})
	}
}

func TestATimestampIsBelievedOnlyIfItIsOfTheEntryAndLeadsToTheRoots(t *testing.T) {
	at := published.Add(500 * time.Millisecond)
	authority, err := timestamp.NewAuthority(rand.Reader, at)
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(t)
	for i := range int64(4) {
		e, of := sitetest.Entry(i), sitetest.Entry(0)
		if i > 1 { // its run ends an hour after the token, or two days
			of = e
			e.TimestampEnd = published.Add([]time.Duration{2: time.Hour, 3: 48 * time.Hour}[i]).Format("2006-01-02T15:04:05.000000+00:00")
		}
		request, err := timestamp.Request(of.ManifestSHA256, big.NewInt(7))
		if err != nil {
			t.Fatal(err)
		}
		if e.TimestampToken, err = timestamp.ParseResponse(authority.Respond(request, at)); err != nil {
			t.Fatal(err)
		}
		if err := l.Add(e.Leaf()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Publish(published.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	l.RootsPEM = authority.RootPEM()
	dir := build(t, l)
	got := newReader(t).visit(dir, asked{Times: []int64{0, 1, 2, 3}})
	for i, want := range []struct{ kind, says string }{2: {"unchecked", "one of the two clocks is wrong"}, 3: {"bad", "24 hours"}} {
		if len(got.Times) != 4 || want.kind != "" && (got.Times[i].Kind != want.kind || !strings.Contains(got.Times[i].Text, want.says)) {
			t.Errorf("a run that ends after its token, %d: %+v", i, got.Times)
		}
	}
	if early := newReader(t).visit(dir, asked{Times: []int64{0}, Clock: published.Add(-time.Hour).Unix()}).Times; early[0].Kind != "bad" || !strings.Contains(early[0].Text, "future") {
		t.Errorf("a token of the future: %+v", early)
	}
	if len(got.Times) != 4 || got.Times[0].Kind != "said" || !strings.Contains(got.Times[0].Text, "existed by 2026-11-30 12:00:01 UTC") {
		t.Errorf("%+v", got.Times)
	}
	if len(got.Times) == 4 && got.Times[1].Kind != "bad" {
		t.Errorf("a token of another entry: %+v", got.Times[1])
	}
	other, err := timestamp.NewAuthority(rand.Reader, at)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		roots []byte
		want  string
	}{{other.RootPEM(), "bad"}, {[]byte("no roots\n"), "bad"}, {nil, "unchecked"}} {
		if got := newReader(t).visit(dir, asked{Times: []int64{0}, Lies: map[string][]byte{"tsa-roots.pem": c.roots}}); got.Times[0].Kind != c.want {
			t.Errorf("with the roots %.20q: %+v, want %s", c.roots, got.Times[0], c.want)
		}
	}
}

func TestWithoutWebCryptoNothingIsChecked(t *testing.T) {
	_, dir := rich(t)
	got := newReader(t).visit(dir, asked{NoCrypto: true, Proofs: []int64{5}})
	if got.Log.Kind != "unchecked" || !strings.Contains(got.Log.Why, "WebCrypto") || len(got.Proofs) != 0 {
		t.Errorf("%+v", got)
	}
}

// SIT-15.
func TestEntriesAreFoundByHints(t *testing.T) {
	_, dir := rich(t)
	e := sitetest.Entry(3)
	got := newReader(t).visit(dir, asked{
		Lookups: [][2]string{
			{"mr", e.ManifestSHA256.String()}, {"mr", e.PackRootSHA256.String()}, {"name", e.PackID}, {"name", "nobody"}, {"mr", strings.Repeat("0", 64)},
		},
		Heads: [][2]string{{"s", sitetest.Entry(1).SignerKeySHA256.String()}, {"r", "owner/name-3"}, {"r", "owner/nothing"}},
	})
	for i, want := range [][]int64{{3}, {701, 3}, {3}, nil, nil} {
		if !slices.Equal(got.Lookups[i].Proved, want) {
			t.Errorf("lookup %d leads to %v, want %v", i, got.Lookups[i].Proved, want)
		}
	}
	var found []string
	for _, lookup := range got.Lookups {
		found = append(found, strings.Join(lookup.Found, ","))
		if lookup.Gets > 1 {
			t.Errorf("a lookup takes %d files", lookup.Gets)
		}
	}
	if want := []string{"m3", "r3,r701", "p3", "", ""}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if len(got.Heads) != 3 || got.Heads[0] == nil || got.Heads[1] == nil || got.Heads[2] != nil {
		t.Fatalf("heads: %+v", got.Heads)
	}
	for i, member := range []func(int64) bool{
		func(i int64) bool {
			return i != 700 && sitetest.Entry(i).SignerKeySHA256 == sitetest.Entry(1).SignerKeySHA256
		},
		func(i int64) bool { return i != 700 && sitetest.Entry(i).Source.Repo == "owner/name-3" },
	} {
		var want []int64
		count := int64(0)
		for n := int64(701); n >= 0; n-- {
			if member(n) {
				if count++; len(want) < 8 {
					want = append(want, n)
				}
			}
		}
		if h := got.Heads[i]; h.Count != count || !slices.Equal(h.Newest, want) {
			t.Errorf("head %d: %+v, want %d %v", i, h, count, want)
		}
	}
}

// SIT-15: whatever hints a mirror makes up, what is shown was looked for and is in the log.
func TestHintsThatLieLeadNowhere(t *testing.T) {
	_, dir := rich(t)
	digest := sitetest.Entry(3).ManifestSHA256.String()
	file := "lookup/" + digest[:3]
	line := func(kind string, index int) string { return fmt.Sprintf("%s %s %d\n", kind, digest[:20], index) }
	many := ""
	for i := range 40 {
		many += line("m", i)
	}
	for name, c := range map[string]struct {
		lie   string
		found []int64
	}{
		"another entry":           {line("m", 4), nil},
		"beyond the checkpoint":   {line("m", 702) + line("m", 99999999), nil},
		"no entry":                {line("m", 700), nil},
		"under many others":       {many, []int64{3}},
		"no lines of the form":    {"m " + digest + " 3\nm 3\n\x00\n", nil},
		"another kind":            {line("p", 3), nil},
		"a page that stands here": {"<!doctype html>", nil},
	} {
		got := newReader(t).visit(dir, asked{Lookups: [][2]string{{"mr", digest}}, Lies: map[string][]byte{file: []byte(c.lie)}})
		if !slices.Equal(got.Lookups[0].Proved, c.found) {
			t.Errorf("%s: %+v, want %v", name, got.Lookups[0], c.found)
		}
	}
}

// SIT-11, SIT-15: where a file of hints is full the next one is read, and what is beyond those that are read is not called
// unlisted.
func TestAListThatGoesOnIsReadOnForAWhile(t *testing.T) {
	_, dir := rich(t)
	e := sitetest.Entry(3)
	digest, key := e.ManifestSHA256.String(), e.SignerKeySHA256.String()
	full := func(kind string) []byte {
		text := ""
		for i := range 4096 {
			text += fmt.Sprintf("%s %s%017x %s\n", kind, digest[:3], i, map[string]string{"m": "5", "s": "1 5"}[kind])
		}
		return []byte(text)
	}
	hint, head := fmt.Appendf(nil, "m %s 3\n", digest[:20]), fmt.Appendf(nil, "s %s 2 5,3\n", key[:20])
	lookups, heads := full("m"), full("s")
	ask := func(files int, first, last []byte) told {
		lies := map[string][]byte{}
		for n := range files {
			name := func(folder, digest string) string {
				if n == 0 {
					return folder + "/" + digest[:3]
				}
				return fmt.Sprintf("%s/%s-%d", folder, digest[:3], n)
			}
			lies[name("lookup", digest)], lies[name("heads", key)] = lookups, heads
			if n == 0 && first != nil {
				lies[name("lookup", digest)] = append(first, lookups[:bytes.LastIndexByte(lookups[:len(lookups)-1], '\n')+1]...)
			}
			if n == files-1 && last != nil {
				lies[name("lookup", digest)], lies[name("heads", key)] = last, head
			}
		}
		return newReader(t).visit(dir, asked{Lookups: [][2]string{{"mr", digest}}, Heads: [][2]string{{"s", key}}, Lies: lies})
	}
	if got := ask(8, nil, hint); !slices.Equal(got.Lookups[0].Proved, []int64{3}) || got.Lookups[0].Gets != 8 || got.Lookups[0].Cut || got.Heads[0].Count != 2 {
		t.Errorf("in the eighth file: %+v", got.Lookups)
	}
	if got := ask(9, nil, hint); got.Lookups[0].Kind != "unchecked" || got.Heads[0].Kind != "unchecked" || !strings.Contains(got.Lookups[0].Why, "lists more") {
		t.Errorf("in the ninth file: %+v, %+v", got.Lookups, got.Heads)
	}
	if got := ask(9, hint, nil); !slices.Equal(got.Lookups[0].Proved, []int64{3}) || !got.Lookups[0].Cut {
		t.Errorf("in the first of nine: %+v", got.Lookups)
	}
}

// another is a log of the same name with another key, and its site.
func another(t *testing.T, size int64) (*sitetest.Log, string) {
	t.Helper()
	other, err := sitetest.New("another")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Grow(size); err != nil {
		t.Fatal(err)
	}
	if err := other.Publish(published); err != nil {
		t.Fatal(err)
	}
	return other, build(t, other)
}

// vkeyOf is the vkey of a log, and its SHA-256.
func vkeyOf(t *testing.T, l *sitetest.Log) (vkey, digest string) {
	t.Helper()
	text, err := l.Policy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "log "); ok {
			vkey = strings.Fields(rest)[0]
			return vkey, fmt.Sprintf("%x", sha256.Sum256([]byte(vkey)))
		}
	}
	t.Fatal("a policy without a log")
	return "", ""
}

// A mirror may name keys of its own and sign a whole log with them: then a reader who was here before hears of it, and no log
// is accused of what another key signed.
func TestAnotherLogUnderTheSameAddressIsTold(t *testing.T) {
	real, dir := rich(t)
	_, key := vkeyOf(t, real)
	for _, size := range []int64{5, 702} {
		other, served := another(t, size)
		_, otherKey := vkeyOf(t, other)
		r := newReader(t)
		first := r.visit(dir, asked{})
		second, third := r.visit(dir, asked{Served: served}), r.visit(dir, asked{})
		if first.Log.Was != nil || !slices.Equal(first.Log.Keys, []string{key}) || third.Log.Was != nil || third.Log.Seen != "same" {
			t.Errorf("%+v, %+v", first.Log, third.Log)
		}
		if l := second.Log; l.Was == nil || !l.Was.OtherKeys || !slices.Equal(l.Was.Keys, []string{key}) || !slices.Equal(l.Keys, []string{otherKey}) || l.Standing != "bad" {
			t.Errorf("%+v", l)
		}
		if l := second.Log; l.Seen != "first" || strings.Contains(l.Said, "signed both") || !slices.Contains(l.Heads, "Another log.") {
			t.Errorf("what another key signed accuses the log: %+v", l)
		}
	}
}

// A policy may name several keys under one name. What a page shows is the key that signed, and that there are others.
func TestTheKeyThatIsShownIsTheOneThatVerified(t *testing.T) {
	real, dir := rich(t)
	vkey, key := vkeyOf(t, real)
	attacker, served := another(t, 12)
	theirs, theirKey := vkeyOf(t, attacker)
	both := fmt.Sprintf("log %s\nlog %s\nquorum none\n", vkey, theirs)
	for name, c := range map[string]struct{ served, key string }{"the log": {dir, key}, "the attacker": {served, theirKey}} {
		got := newReader(t).visit(dir, asked{Served: c.served, Lies: map[string][]byte{"policy": []byte(both)}})
		if l := got.Log; !slices.Equal(l.Keys, []string{c.key}) || l.Standing != "unchecked" || !slices.Contains(l.Heads, "2 keys of one log.") || !strings.Contains(l.Said, c.key) {
			t.Errorf("%s signed: %+v", name, l)
		}
		if want := fmt.Sprintf("%x", sha256.Sum256([]byte(both))); got.Log.Policy != want {
			t.Errorf("the policy that was used is %s, not %s", got.Log.Policy, want)
		}
	}
}

// A policy that changed under the same key may ask for other witnesses.
func TestAnotherPolicyUnderTheSameKeyIsTold(t *testing.T) {
	l, dir := rich(t)
	vkey, _ := vkeyOf(t, l)
	r := newReader(t)
	r.visit(dir, asked{})
	weak := asked{Lies: map[string][]byte{"policy": []byte("log " + vkey + "\nquorum none\n")}}
	for range 2 {
		if got := r.visit(dir, weak); got.Log.Was == nil || got.Log.Was.OtherKeys || got.Log.Standing != "unchecked" || !slices.Contains(got.Log.Heads, "Another policy.") {
			t.Errorf("%+v", got.Log)
		}
	}
}

// What is remembered is in a storage that other pages of the host can write, or that there is not.
func TestAMemoryThatIsBlockedOrDamagedIsNoFirstVisit(t *testing.T) {
	_, dir := rich(t)
	if got := newReader(t).visit(dir, asked{NoStorage: true}).Log; got.Seen != "nowhere" || strings.Contains(got.Remembered, "remembers it") || !strings.Contains(got.Remembered, "remembers nothing") {
		t.Errorf("%+v", got)
	}
	for name, damage := range map[string]func(key, text string) string{
		"no JSON":       func(string, string) string { return "{" },
		"null":          func(string, string) string { return "null" },
		"another note":  func(key, text string) string { return strings.Replace(text, "\\n702\\n", "\\n703\\n", 1) },
		"no keys":       func(key, text string) string { return strings.Replace(text, `"keys":["`, `"keys":["x`, 1) },
		"nothing in it": func(string, string) string { return "{}" },
	} {
		r := newReader(t)
		r.visit(dir, asked{})
		var kept [][2]string
		text, err := os.ReadFile(r.memory)
		if err == nil {
			err = json.Unmarshal(text, &kept)
		}
		if err != nil || len(kept) != 2 {
			t.Fatalf("%v: %q", err, kept)
		}
		changed := 0
		for i := range kept {
			if now := damage(kept[i][0], kept[i][1]); now != kept[i][1] {
				kept[i][1], changed = now, changed+1
			}
		}
		if text, err = json.Marshal(kept); err == nil {
			err = os.WriteFile(r.memory, text, 0o600)
		}
		if err != nil || changed == 0 {
			t.Fatal(err, changed)
		}
		if got := r.visit(dir, asked{}).Log; got.Standing != "unchecked" || !slices.Contains(got.Heads, "Not compared with what you have seen.") || !strings.Contains(got.Said, "not your first visit") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// An old state is as new as the latest time from which on enough witnesses cosigned: one that lives ahead makes it no newer.
func TestAStateIsAsNewAsItsQuorum(t *testing.T) {
	l, dir := rich(t)
	at := published.Add(time.Hour)
	lines := strings.SplitAfter(string(l.Note), "\n")
	later, err := l.Sign(702, at.Add(90*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	lines[len(lines)-2] = strings.SplitAfter(string(later), "\n")[len(lines)-2] // the last witness cosigned again, three months later
	note := []byte(strings.Join(lines, ""))
	for name, c := range map[string]struct {
		note     []byte
		clock    time.Time
		heads    []string
		standing string
	}{
		"new":                    {l.Note, at.Add(time.Hour), nil, "said"},
		"old":                    {l.Note, at.Add(90 * 24 * time.Hour), []string{"Not new."}, "said"},
		"one witness goes ahead": {note, at.Add(90 * 24 * time.Hour), []string{"Not new."}, "said"},
		"of the future":          {l.Note, at.Add(-time.Hour), []string{"From the future."}, "unchecked"},
	} {
		got := newReader(t).visit(dir, asked{Clock: c.clock.Unix(), Lies: map[string][]byte{"checkpoint": c.note}}).Log
		if !slices.Equal(got.Heads, c.heads) && len(got.Heads)+len(c.heads) > 0 || got.Standing != c.standing || got.Time != at.Unix() {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAnyTwoCheckpointsOfTheHistoryAreCompared(t *testing.T) {
	_, dir := rich(t)
	got := newReader(t).visit(dir, asked{Compare: [][3]int64{{0, 1, 8}, {0, 7, 8}, {2, 3, 8}, {3, 6, 8}, {5, 5, 8}, {4, 5, 8}, {6, 0, 8}}})
	for i, c := range got.Compare {
		if want := i != 6; c.Holds != want || !c.Enough || c.Kind != "" {
			t.Errorf("%d: %+v, want %v", i, c, want)
		}
	}
	if len(got.Compare) != 7 || got.Length != 8 {
		t.Errorf("%d comparisons in %d checkpoints", len(got.Compare), got.Length)
	}
}

// Modules of the pages load modules that the site has, and nothing by another address.
func TestModulesImportOnlyModulesOfTheSite(t *testing.T) {
	_, dir := rich(t)
	modules := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".mjs") || !strings.Contains(path, "/assets/") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		modules++
		for line := range strings.Lines(string(text)) {
			for _, part := range strings.Split(line, "from '")[1:] {
				name, _, _ := strings.Cut(part, "'")
				if !strings.HasPrefix(name, ".") {
					continue // a sentence
				}
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), name)); err != nil {
					t.Errorf("%s: %v", filepath.Base(path), err)
				}
			}
		}
		for _, word := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "DOMParser", ".style.", "setAttributeNS", "srcdoc"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s says %s", filepath.Base(path), word)
			}
		}
		return nil
	})
	if err != nil || modules < 10 {
		t.Errorf("%d modules: %v", modules, err)
	}
}

// The codes were read by another program (OpenCV's detector) when these sums were taken: one of each number of blocks, and
// the longest that a code of ours can hold.
func TestACodeOfAnAddressIsTheOneThatWasReadElsewhere(t *testing.T) {
	const script = `
import { createHash } from 'node:crypto';
const { matrix, outline } = await import(process.argv.at(-1));
const texts = ['A', 'https://acme.github.io/ledger/entry/index.html?i=1234567', 'x'.repeat(100), 'y'.repeat(150), 'z'.repeat(180), 'https://example.org/a/b/' + '0123456789abcdef'.repeat(11)];
console.log(texts.map((t) => createHash('sha256').update(outline(matrix(t))).digest('hex').slice(0, 16)).join(' '), matrix('x'.repeat(213)).length, matrix('x'.repeat(214)));
`
	r := newReader(t)
	module, err := filepath.Abs("static/qr.mjs")
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), r.node, "--input-type=module", "-e", script, "file://"+module)
	c.Stderr, c.WaitDelay = os.Stderr, time.Second
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "c53b874888694e49 dc1c8b45ed7099c0 33fe8860a159f0d1 4e7b4b60379a0b4c 5c0bf84f1159e762 b4832e798dc3132f 57 null\n"; string(out) != want {
		t.Errorf("%q, want %q", out, want)
	}
}

// A checkpoint of the history was published under the policy of its time: that today's wants more takes nothing from it.
func TestACheckpointOfAnotherQuorumIsStillTheLogs(t *testing.T) {
	l := newLog(t, 3, 10)
	note := l.Notes[0]
	l.Notes[0] = note[:bytes.LastIndex(note[:len(note)-1], []byte("\n"))+1]
	got := newReader(t).visit(build(t, l), asked{Compare: [][3]int64{{0, 1, 2}, {1, 1, 2}}})
	if c := got.Compare; len(c) != 2 || !c[0].Holds || c[0].Enough || !c[1].Enough {
		t.Errorf("%+v", c)
	}
}

// An address that names no entry asks the site for nothing: a reader who mistyped is told so, not that nothing is listed.
func TestAnAddressThatNamesNoEntryIsNotLookedUp(t *testing.T) {
	const script = `
globalThis.localStorage = { getItem: () => null };
const { asked } = await import(process.argv.at(-1));
const list = ['i=7', 'q=1,234', 'h=' + 'AB'.repeat(32), 'q=acme/app', '', 'q=', 'q=+', 'i=', 'i=abc', 'i=-1', 'i=007', 'i=1e3', 'i=' + '9'.repeat(20), 'h=abc', 'i=abc&q=7'];
console.log(list.map((q) => { const a = asked(new URLSearchParams(q)); return Object.keys(a) + ' ' + Object.values(a)[0]; }).join('\n'));
`
	_, dir := rich(t)
	r := newReader(t)
	c := exec.CommandContext(t.Context(), r.node, "--input-type=module", "-e", script, "file://"+filepath.Join(dir, "assets", "search.mjs"))
	c.Stderr, c.WaitDelay = os.Stderr, time.Second
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	number := func(i string) string {
		return "wrong “" + i + "” in the address of this page is not the number of an entry"
	}
	nothing := "wrong the address of this page names no entry"
	want := []string{"index 7", "index,name 1234", "digest " + strings.Repeat("ab", 32), "name acme/app", nothing, nothing, nothing, nothing,
		number("abc"), number("-1"), number("007"), number("1e3"), number(strings.Repeat("9", 20)),
		"wrong “abc” in the address of this page is not a digest of 64 hex digits", number("abc")}
	if got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
