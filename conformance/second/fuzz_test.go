package second

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

// times gives how many cases are asked: few by go test, many by make soak.
func times(few, many int) int {
	if long {
		return many
	}
	return few
}

// mutate changes a text in a few places: a byte, a piece that goes, comes twice or moves, or a word of a dictionary.
func mutate(rng *rand.Rand, text []byte, words []string) []byte {
	text = bytes.Clone(text)
	for range 1 + rng.IntN(3) {
		i := rng.IntN(len(text) + 1)
		j := min(len(text), i+rng.IntN(1+rng.IntN(20)))
		switch rng.IntN(7) {
		case 0:
			if i < len(text) {
				text[i] ^= 1 << rng.IntN(8)
			}
		case 1:
			text = slices.Delete(text, i, j)
		case 2:
			text = slices.Insert(text, i, bytes.Clone(text[i:j])...)
		case 3:
			k := rng.IntN(len(text) + 1)
			text = slices.Insert(text, k, bytes.Clone(text[i:j])...)
		case 4:
			text = slices.Insert(text, i, byte(rng.IntN(256)))
		default:
			text = slices.Insert(text, i, []byte(pick(rng, words))...)
		}
	}
	return text
}

// TestJSONIsReadAndWrittenAlike: which texts are refused and for which cause, and the canonical bytes of the others
// (JCS-1 to JCS-21).
func TestJSONIsReadAndWrittenAlike(t *testing.T) {
	s, rng, want := serve(t), rand.New(rand.NewPCG(1, 21)), times(20_000, 1_200_000)
	causes := []error{jcs.ErrSyntax, jcs.ErrDuplicate, jcs.ErrEncoding, jcs.ErrNumber, jcs.ErrDepth, jcs.ErrSize}
	words := []string{"syntax", "duplicate", "encoding", "number", "depth", "size"}
	cause := func(err error) string {
		for i, c := range causes {
			if errors.Is(err, c) {
				return "refused: " + words[i]
			}
		}
		t.Fatalf("no cause of those on the page: %v", err)
		return ""
	}
	limits := jcs.Limits{Bytes: 300, Depth: 6}
	good, differ, seen := 0, 0, map[string]int{}
	for asked := 0; asked < want && differ < 20; {
		var items [][]byte
		for range 2000 {
			items = append(items, someJSON(rng))
		}
		for i, theirs := range askSecond[[]byte](t, s, "json", items) {
			asked++
			v, err := jcs.Parse(items[i], limits)
			var ours []byte
			if err == nil {
				if ours, err = jcs.AppendPack(nil, v); err == nil {
					ours, err = jcs.AppendPackLine(append(ours, '\n'), v)
				}
			}
			if err == nil {
				good++
			} else {
				ours = []byte(cause(err))
				seen[string(ours)]++
			}
			if !bytes.Equal(ours, theirs) {
				differ++
				t.Errorf("%q is %q, and in the other verifier %q", items[i], ours, theirs)
			}
		}
	}
	t.Logf("%d texts: %d read, %v", want, good, seen)
	if good < want/10 || len(seen) != len(causes) {
		t.Error("texts that say little")
	}
}

var jsonWords = strings.Split(`{ } [ ] , : " \ \" \\ \/ \b \u0000 \u00e9 \ud83d\ude00 \ud83d \ude00 \uD800\uDBFF \u2028 \x e E . - + 0 1 00 1.0 1e5 1E+5 1e-7 1e21 1e400 -0 -0.0 `+
	`5e-324 2.2250738585072011e-308 1.7976931348623157e308 123456789012345678901234567890 0.1 100000000000000000000.0 333333333.33333329 null true false nul NaN `+
	`"a":1 "a":1, "b":2, "\u0061":3 "": "__proto__":1 {"a":1} [1,2] [[]] {} [[[[[[ ]]]]]] "ſ" "é" "e`+"\u0301"+`" "`+"\u2028\u0085"+`" "😀" "`+"\uff21"+`" // `+"\t \n \r \x00 \x1f \x7f \u00a0 \ufeff \xff \xc3 \xed\xa0\x80 \xf4\x90\x80\x80 \xc0\x80", " ")

// someJSON puts words together, or changes a value that is JSON.
func someJSON(rng *rand.Rand) []byte {
	if rng.IntN(3) == 0 {
		var b []byte
		for range 1 + rng.IntN(12) {
			b = append(b, pick(rng, jsonWords)...)
		}
		return b
	}
	v := someValue(rng, 0)
	if rng.IntN(3) == 0 {
		return []byte(v)
	}
	return mutate(rng, []byte(v), jsonWords)
}

var (
	scalars = strings.Split(`null,true,false,0,-0,1,-1,1.0,1e5,1E-7,0.000001,1e21,1e20,1e400,5e-324,4.35,123456789012345678901234567890,1.7976931348623157e308,""`, ",")
	strs    = strings.Split(`"a" "b" "aa" "A" "é" "\u00e9" "\ud83d\ude00" "`+"\uff21"+`" "\"" "\\" "\/" "\n" "\u0007" "`+"\u2028"+`" "😀" "__proto__" "constructor" "1" "10" "9"`, " ")
)

func someValue(rng *rand.Rand, depth int) string {
	switch k := rng.IntN(8); {
	case k < 3 || depth > 6:
		if rng.IntN(2) == 0 {
			return pick(rng, scalars)
		}
		return pick(rng, strs)
	case k == 3:
		return fmt.Sprintf("%d.%de%d", rng.IntN(1000), rng.Uint64(), rng.IntN(640)-330)
	case k < 6:
		var items []string
		for range rng.IntN(4) {
			items = append(items, someValue(rng, depth+1))
		}
		return "[" + strings.Join(items, pick(rng, []string{",", ", ", ",\n"})) + "]"
	default:
		var items []string
		for range rng.IntN(5) {
			items = append(items, pick(rng, strs)+pick(rng, []string{":", ": "})+someValue(rng, depth+1))
		}
		return "{" + strings.Join(items, ",") + "}"
	}
}

// TestProofsOfTreesAreJudgedAlike: inclusion and consistency in trees of every size up to 20, right and wrong (ENT-12).
func TestProofsOfTreesAreJudgedAlike(t *testing.T) {
	s, rng, want := serve(t), rand.New(rand.NewPCG(6, 962)), times(10_000, 1_000_000)
	const most = 20
	var leaves, stored []tlog.Hash
	roots := []tlog.Hash{sha256.Sum256(nil)}
	reader := tlog.HashReaderFunc(func(indexes []int64) (list []tlog.Hash, err error) {
		for _, i := range indexes {
			list = append(list, stored[i])
		}
		return list, nil
	})
	for i := range int64(most) {
		leaf := fmt.Appendf(nil, "leaf %d", i)
		leaves = append(leaves, trust.LeafHash(leaf))
		hashes, err := tlog.StoredHashes(i, leaf, reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		root, err := tlog.TreeHash(i+1, reader)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root)
	}
	type question struct {
		Leaf   []byte   `json:"leaf,omitempty"` // of inclusion
		Old    []byte   `json:"old,omitempty"`  // root, of consistency
		N      int64    `json:"n"`              // index, or old size
		Size   int64    `json:"size"`
		Root   []byte   `json:"root"`
		Hashes [][]byte `json:"hashes"`
	}
	good, differ := 0, 0
	for asked := 0; asked < want && differ < 20; {
		var items []question
		var ours []bool
		for range 1000 {
			size := 1 + rng.Int64N(most)
			n := rng.Int64N(size)
			include := rng.IntN(2) == 0
			var proof []tlog.Hash
			var err error
			if include {
				proof, err = tlog.ProveRecord(size, n, reader)
			} else {
				n = rng.Int64N(size + 1)
				if n > 0 {
					proof, err = tlog.ProveTree(size, n, reader)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			leaf, old, root := leaves[min(n, most-1)], roots[n], roots[size]
			for range rng.IntN(3) { // no change, or one or two
				switch rng.IntN(8) {
				case 0:
					n = rng.Int64N(most + 2)
				case 1:
					size = rng.Int64N(most + 2)
				case 2:
					root = pick(rng, roots)
				case 3:
					leaf, old = pick(rng, leaves), pick(rng, roots)
				case 4:
					proof = append(slices.Clone(proof), pick(rng, stored))
				case 5:
					proof = proof[:len(proof)/2]
				case 6:
					if len(proof) > 0 {
						proof = slices.Clone(proof)
						proof[rng.IntN(len(proof))] = pick(rng, stored)
					}
				case 7:
					proof = slices.Clone(proof)
					slices.Reverse(proof)
				}
			}
			q := question{N: n, Size: size, Root: root[:], Hashes: [][]byte{}}
			for _, h := range proof {
				q.Hashes = append(q.Hashes, h[:])
			}
			if include {
				q.Leaf = leaf[:]
				err = trust.CheckInclusion(n, size, leaf, root, proof)
			} else {
				q.Old = old[:]
				err = trust.CheckConsistency(n, old, size, root, proof)
			}
			items, ours = append(items, q), append(ours, err == nil)
		}
		for i, theirs := range askSecond[bool](t, s, "tree", items) {
			asked++
			if ours[i] {
				good++
			}
			if ours[i] != theirs {
				differ++
				t.Errorf("%+v is %v, and in the other verifier %v", items[i], ours[i], theirs)
			}
		}
	}
	t.Logf("%d proofs, %d hold", want, good)
	if good < want/5 || good > want*9/10 {
		t.Error("proofs that say little")
	}
}

// example gives an example of a page.
func example(t *testing.T, page, kind string) []byte {
	t.Helper()
	text, err := os.ReadFile("../../docs/spec/" + page)
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^```" + kind + "\n([^`]*)^```").FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no example %s", page, kind)
	}
	return found[1]
}

// TestTextsOfALogAreReadAlike: policies, proofs, entries, and notes under a policy, changed in a few places: what is
// refused by one is refused by the other (ENT-1 to ENT-5, ENT-18 to ENT-45).
func TestTextsOfALogAreReadAlike(t *testing.T) {
	s, rng := serve(t), rand.New(rand.NewPCG(18, 45))
	policyText, proofText := example(t, "ledger.md", "text policy"), example(t, "ledger.md", "text proof")
	checkpoint := example(t, "ledger.md", "text checkpoint")
	policy, err := trust.ParsePolicy(policyText)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := trust.ParseProof(proofText)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []struct {
		name  string
		few   int
		many  int
		seed  []byte
		words []string
		read  func(text []byte) error
	}{
		{"policy", 250, 20_000, policyText, strings.Split("\n|\t| |# |log |witness |group |quorum |none|any|all|1|2|02|w1|w2|g|\r|\x00|http://|https://|?|@|\u00a0|é|\n\n|"+string(policyText), "|"),
			func(text []byte) error { _, err := trust.ParsePolicy(text); return err }},
		{"proof", 3000, 300_000, proofText, strings.Split("\n|extra |extra \n|index |index 01\n|index 1\n|\n\n|\r|=|A|— |\u2014 x AAAAAAA=\n|\x00|ledger.example/2026\n|é", "|"),
			func(text []byte) error { _, err := trust.ParseProof(text); return err }},
		{"checkpoint", 250, 20_000, checkpoint, strings.Split("\n|\n\n|extension\n|0|3\n|\u2014 |\u2014 x AAAAAAA=\n|=|\r|\t| |é|ledger.example/2026\n", "|"),
			func(text []byte) error { _, err := policy.OpenCheckpoint(text); return err }},
		{"entry", 3000, 300_000, proof.Extra, strings.Split(`{|}|,|:|"|1|2|null|"self"|"oidc"|"ci_binding"|"source_repo":"a/b",|"source_workflow":"x",|"L1"| |é|\u0041|0|"timestamp_token":"AA==",`, "|"),
			func(text []byte) error { _, err := entry.Parse(text); return err }},
	}
	for _, k := range kinds {
		want, good, differ := times(k.few, k.many), 0, 0
		for asked := 0; asked < want && differ < 20; {
			var items [][]byte
			for range min(500, want) {
				text := k.seed
				if rng.IntN(50) > 0 {
					text = mutate(rng, k.seed, k.words)
				}
				items = append(items, text)
			}
			for i, theirs := range askSecond[bool](t, s, k.name, items) {
				asked++
				err := k.read(items[i])
				if err == nil {
					good++
				}
				if (err == nil) != theirs {
					differ++
					t.Errorf("Go says %v, the other verifier takes it: %v, of the %s %q", err, theirs, k.name, items[i])
				}
			}
		}
		t.Logf("%s: %d texts, %d taken", k.name, want, good)
		if good == 0 || good == want {
			t.Errorf("%s: texts that say nothing", k.name)
		}
	}
}
