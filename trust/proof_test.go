package trust_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	formatsproof "github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/tlog"
)

const trees = 64 // every tree up to this size

func leaf(i int64) []byte { return []byte{'l', byte(i)} }

func grow(n int64) *trusttest.Log {
	log := trusttest.NewLog("example.com/log")
	for i := range n {
		log.Append(leaf(i))
	}
	return log
}

// ENT-11, ENT-12
func TestEveryLeafOfEverySmallTreeIsProvedAndNothingElse(t *testing.T) {
	log := grow(trees)
	policy := trusttest.Policy(log, nil, 0)
	for size := int64(1); size <= trees; size++ {
		for index := range size {
			proof := log.ProveAt(index, size)
			cp, err := policy.CheckProof(proof, leaf(index))
			if err != nil || cp.Size != size {
				t.Fatalf("leaf %d of %d: %v", index, size, err)
			}
			check := func(what string, index, size int64, leaf tlog.Hash, hashes []tlog.Hash) {
				if err := trust.CheckInclusion(index, size, leaf, cp.Root, hashes); !errors.Is(err, trust.ErrInclusion) {
					t.Errorf("leaf %d of %d, %s: %v", proof.Index, cp.Size, what, err)
				}
			}
			hash := trust.LeafHash(leaf(index))
			for other := int64(-1); other <= size; other++ {
				if other != index {
					check("another index", other, size, hash, proof.Hashes)
				}
			}
			check("another leaf", index, size, trust.LeafHash(leaf(index+1)), proof.Hashes)
			check("the root as a leaf", index, size, cp.Root, append(slices.Clone(proof.Hashes), cp.Root))
			check("a hash more at the end", index, size, hash, append(slices.Clone(proof.Hashes), tlog.Hash{}))
			check("a hash more in front", index, size, hash, append([]tlog.Hash{{}}, proof.Hashes...))
			check("too many hashes", index, size, hash, make([]tlog.Hash, 64))
			check("size 0", index, 0, hash, proof.Hashes)
			if len(proof.Hashes) > 0 {
				check("a hash less", index, size, hash, proof.Hashes[1:])
			}
			for i := range proof.Hashes {
				changed := slices.Clone(proof.Hashes)
				for at := range changed[i] {
					if size < trees && at != int(size)%32 {
						continue // every byte in the largest tree, one in the others
					}
					changed[i][at] ^= 1
					check("a hash changed", index, size, hash, changed)
					changed[i][at] ^= 1
				}
			}
		}
	}
}

// Read as unsigned numbers, -2 and -1 are a leaf and a size that a chain of 63 hashes can be made for.
// ENT-12, ENT-13
func TestNegativeNumbersHaveNoProof(t *testing.T) {
	hash := trust.LeafHash(leaf(0))
	root, hashes := hash, make([]tlog.Hash, 63)
	for i := range hashes {
		root = tlog.NodeHash(hashes[i], root)
	}
	for _, n := range []struct{ index, size int64 }{{-2, -1}, {-1, -1}, {-1, 1}, {0, -1}, {-1 << 63, -1}} {
		if err := trust.CheckInclusion(n.index, n.size, hash, root, hashes); !errors.Is(err, trust.ErrInclusion) {
			t.Errorf("leaf %d of %d: %v", n.index, n.size, err)
		}
		if err := trust.CheckConsistency(n.index, root, n.size, root, nil); !errors.Is(err, trust.ErrConsistency) {
			t.Errorf("from size %d to %d: %v", n.index, n.size, err)
		}
	}
}

// ENT-13
func TestEveryPairOfSmallTreesIsConsistentAndNothingElse(t *testing.T) {
	log := grow(trees)
	roots := make([]tlog.Hash, trees+1)
	for size := range roots {
		roots[size] = log.Root(int64(size))
	}
	if roots[0] != trust.EmptyRoot {
		t.Fatal("the empty tree has another root")
	}
	for size := range int64(trees + 1) {
		for old := range size + 1 {
			proof := log.Consistency(old, size)
			if err := trust.CheckConsistency(old, roots[old], size, roots[size], proof); err != nil {
				t.Fatalf("%d to %d: %v", old, size, err)
			}
			check := func(what string, old int64, oldRoot tlog.Hash, size int64, root tlog.Hash, proof []tlog.Hash) {
				if err := trust.CheckConsistency(old, oldRoot, size, root, proof); !errors.Is(err, trust.ErrConsistency) {
					t.Errorf("%d to %d, %s: %v", old, size, what, err)
				}
			}
			wrong := trust.LeafHash([]byte("wrong"))
			check("another old root", old, wrong, size, roots[size], proof)
			check("a hash more", old, roots[old], size, roots[size], append(slices.Clone(proof), wrong))
			if old > 0 || size == 0 { // everything that is not empty grows from the empty tree
				check("another root", old, roots[old], size, wrong, proof)
			}
			if old < size {
				check("backwards", size, roots[size], old, roots[old], proof)
			}
			if len(proof) > 0 {
				check("a hash less", old, roots[old], size, roots[size], proof[1:])
				check("no proof", old, roots[old], size, roots[size], nil)
			}
			for i := range proof {
				changed := slices.Clone(proof)
				changed[i][int(size)%32] ^= 1
				check("a hash changed", old, roots[old], size, roots[size], changed)
			}
			check("negative", -1, roots[old], size, roots[size], proof)
		}
	}
}

// ENT-13
func TestAForkIsNotConsistent(t *testing.T) {
	log := grow(8)
	for at := range int64(8) {
		fork := log.Fork(at)
		for fork.Size() < 8 {
			fork.Append([]byte("other"))
		}
		for size := at + 1; size <= 8; size++ {
			err := trust.CheckConsistency(size, log.Root(size), 8, fork.Root(8), fork.Consistency(size, 8))
			wantError(t, "fork", err, trust.ErrConsistency)
		}
	}
}

// ENT-45
func TestCheckProofTellsWhichStepFailed(t *testing.T) {
	w := newWorld()
	policy := w.policy(2)
	good := w.log.Prove(1, w.w1, w.w2)
	stranger := trusttest.NewLog("example.org/stranger")
	stranger.Append([]byte("b"))
	for _, test := range []struct {
		name  string
		proof *trust.Proof
		leaf  string
		want  error
	}{
		{"good", good, "b", nil},
		{"another leaf", good, "c", trust.ErrInclusion},
		{"empty leaf", good, "", trust.ErrInclusion},
		{"another index", &trust.Proof{Index: 2, Hashes: good.Hashes, Checkpoint: good.Checkpoint}, "b", trust.ErrInclusion},
		{"index at the size", &trust.Proof{Index: 3, Hashes: good.Hashes, Checkpoint: good.Checkpoint}, "b", trust.ErrInclusion},
		{"negative index", &trust.Proof{Index: -1, Hashes: good.Hashes, Checkpoint: good.Checkpoint}, "b", trust.ErrInclusion},
		{"no hashes", &trust.Proof{Index: 1, Checkpoint: good.Checkpoint}, "b", trust.ErrInclusion},
		{"one witness", w.log.Prove(1, w.w1), "b", trust.ErrQuorum},
		{"one witness, another leaf", w.log.Prove(1, w.w1), "c", trust.ErrQuorum}, // the earlier step speaks
		{"strange witnesses", w.log.Prove(1, trusttest.NewWitness("w8", trust.Ed25519Cosigner), trusttest.NewWitness("w9", trust.Ed25519Cosigner)), "b", trust.ErrQuorum},
		{"unsigned", &trust.Proof{Index: 1, Hashes: good.Hashes, Checkpoint: []byte(w.text() + "\n" + string(w.w1.Cosign(good.Checkpoint)))}, "b", trust.ErrSignature},
		{"another log", stranger.Prove(0), "b", trust.ErrUnknownLog},
		{"no checkpoint", &trust.Proof{Index: 1, Hashes: good.Hashes}, "b", trust.ErrMalformed},
		{"nil", nil, "b", trust.ErrMalformed},
	} {
		cp, err := policy.CheckProof(test.proof, []byte(test.leaf))
		if !errors.Is(err, test.want) || (err == nil) != (cp != nil) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

// ENT-44
func TestExtraIsNotBelieved(t *testing.T) {
	w := newWorld()
	proof := w.log.Prove(1, w.w1)
	proof.Extra = []byte("anything")
	if _, err := w.policy(1).CheckProof(proof, []byte("b")); err != nil {
		t.Error(err)
	}
	_, err := w.policy(1).CheckProof(proof, proof.Extra)
	wantError(t, "extra as the leaf", err, trust.ErrInclusion)
}

// ENT-43
func TestProofTextHasOneSpelling(t *testing.T) {
	w := newWorld()
	for _, extra := range [][]byte{nil, {}, []byte("x"), bytes.Repeat([]byte{0}, 32<<10)} {
		for index := range int64(3) {
			p := w.log.Prove(index, w.w1, w.w2)
			p.Extra = extra
			text := p.Marshal()
			again, err := trust.ParseProof(text)
			if err != nil {
				t.Fatal(err)
			}
			if (again.Extra == nil) != (extra == nil) || !bytes.Equal(again.Extra, extra) || again.Index != index ||
				!slices.Equal(again.Hashes, p.Hashes) || !bytes.Equal(again.Checkpoint, p.Checkpoint) {
				t.Errorf("parsed %+v", again)
			}
		}
	}
	p := w.log.Prove(1)
	p.Extra = []byte("extra")
	good := string(p.Marshal())
	if want := "c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 1\n" + p.Hashes[0].String() + "\n" + p.Hashes[1].String() + "\n\n" + string(p.Checkpoint); good != want {
		t.Fatalf("proof %q", good)
	}
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the proof", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, bad := range map[string]string{
		"empty":                  "",
		"another version":        replace("@v1", "@v2"),
		"capital":                replace("c2sp", "C2SP"),
		"space after the header": replace("@v1\n", "@v1 \n"),
		"byte order mark":        "\ufeff" + good,
		"blank line in front":    "\n" + good,
		"CRLF":                   strings.ReplaceAll(good, "\n", "\r\n"),
		"CR in the header":       replace("@v1\n", "@v1\r\n"),
		"CR after the index":     replace("index 1\n", "index 1\r\n"),
		"extra twice":            replace("extra ZXh0cmE=\n", "extra ZXh0cmE=\nextra ZXh0cmE=\n"),
		"extra without a space":  replace("extra ZXh0cmE=", "extra"),
		"extra with two spaces":  replace("extra ", "extra  "),
		"extra unpadded":         replace("ZXh0cmE=", "ZXh0cmE"),
		"extra not base64":       replace("ZXh0cmE=", "ZXh0cm!="),
		"extra with loose bits":  replace("ZXh0cmE=", "ZXh0cmF="),
		"extra after the index":  replace("extra ZXh0cmE=\nindex 1\n", "index 1\nextra ZXh0cmE=\n"),
		"no index":               replace("index 1\n", ""),
		"nothing but the header": "c2sp.org/tlog-proof@v1\n\n" + string(p.Checkpoint),
		"header and extra":       "c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\n\n" + string(p.Checkpoint),
		"leading zero":           replace("index 1", "index 01"),
		"plus":                   replace("index 1", "index +1"),
		"minus":                  replace("index 1", "index -1"),
		"two spaces":             replace("index 1", "index  1"),
		"space after":            replace("index 1", "index 1 "),
		"no number":              replace("index 1", "index "),
		"2^63":                   replace("index 1", "index 9223372036854775808"),
		"2^64":                   replace("index 1", "index 18446744073709551616"),
		"index twice":            replace("index 1\n", "index 1\nindex 1\n"),
		"hash of 31 bytes":       replace(p.Hashes[0].String(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
		"hash of 33 bytes":       replace(p.Hashes[0].String(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		"hash with loose bits":   replace(p.Hashes[0].String(), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB="),
		"space after a hash":     replace(p.Hashes[0].String(), p.Hashes[0].String()+" "),
		"64 hashes":              replace("index 1\n", "index 1\n"+strings.Repeat(trust.EmptyRoot.String()+"\n", 62)),
		"no blank line":          replace("\n\n", "\n"),
		"no checkpoint":          good[:strings.Index(good, "\n\n")+2],
		"no signature":           good[:strings.LastIndex(good, "\n\n")+2],
		"no newline at the end":  strings.TrimSuffix(good, "\n"),
		"bytes at the end":       good + "x",
		"newline at the end":     good + "\n",
		"over 1 MiB":             replace("ZXh0cmE=", strings.Repeat("AAAA", trust.MaxSize/4)),
	} {
		_, err := trust.ParseProof([]byte(bad))
		wantError(t, name, err, trust.ErrMalformed)
	}
	if _, err := trust.ParseProof([]byte(replace("index 1\n", "index 9223372036854775807\n"+strings.Repeat(trust.EmptyRoot.String()+"\n", 61)))); err != nil {
		t.Errorf("the largest index with 63 hashes: %v", err)
	}
}

// ENT-43, ENT-45
func TestEveryMutationOfOneByteOfAProofFails(t *testing.T) {
	w := newWorld()
	for name, witnesses := range map[string][]*trusttest.Witness{"Ed25519": {w.w1, w.w3}, "ML-DSA-44": {w.w2}} {
		policy := trusttest.Policy(w.log, witnesses, len(witnesses))
		p := w.log.Prove(1, witnesses...)
		p.Extra = []byte("b") // the leaf, as the ledger puts its entry there
		good := p.Marshal()
		accepted := func(text []byte) bool {
			p, err := trust.ParseProof(text)
			if err != nil {
				return false
			}
			_, err = policy.CheckProof(p, p.Extra)
			return err == nil
		}
		if !accepted(good) {
			t.Fatal("the good proof is refused")
		}
		step := 1
		if name == "ML-DSA-44" {
			step = 7 // its 3 kB of signature are all alike
		}
		for i := 0; i < len(good); i += step {
			for _, mutant := range [][]byte{
				slices.Concat(good[:i], []byte{good[i] ^ 0x01}, good[i+1:]),
				slices.Concat(good[:i], []byte{good[i] ^ 0x20}, good[i+1:]),
				slices.Concat(good[:i], []byte{good[i] ^ 0x80}, good[i+1:]),
				slices.Concat(good[:i], good[i+1:]),
				slices.Concat(good[:i], good[i:i+1], good[i:]),
				slices.Concat(good[:i], []byte("\n"), good[i:]),
				good[:i],
			} {
				if accepted(mutant) {
					t.Errorf("%s: mutant at byte %d accepted: %q", name, i, mutant[max(0, i-10):min(len(mutant), i+10)])
				}
			}
		}
	}
}

// ENT-11
func TestEveryFlippedBitOfALeafFails(t *testing.T) {
	log := trusttest.NewLog("example.com/log")
	entry := []byte(`{"manifest_sha256":"00","schema_version":2}`)
	log.Append([]byte("first"))
	index := log.Append(entry)
	policy := trusttest.Policy(log, nil, 0)
	proof := log.Prove(index)
	if _, err := policy.CheckProof(proof, entry); err != nil {
		t.Fatal(err)
	}
	for i := range len(entry) * 8 {
		entry[i/8] ^= 1 << (i % 8)
		_, err := policy.CheckProof(proof, entry)
		wantError(t, "flipped bit", err, trust.ErrInclusion)
		entry[i/8] ^= 1 << (i % 8)
	}
}

// ENT-43
func TestAnotherImplementationReadsOurProofs(t *testing.T) {
	w := newWorld()
	for _, extra := range [][]byte{nil, []byte("entry")} {
		p := w.log.Prove(2, w.w1, w.w2)
		p.Extra = extra
		text := p.Marshal()
		var theirs formatsproof.TLogProof
		if err := theirs.Unmarshal(text); err != nil {
			t.Fatal(err)
		}
		if int64(theirs.Index) != p.Index || len(theirs.Hashes) != len(p.Hashes) || !bytes.Equal(theirs.ExtraData, extra) || !bytes.Equal(theirs.Checkpoint, p.Checkpoint) {
			t.Errorf("they read %+v", theirs)
		}
		if !bytes.Equal(theirs.Marshal(), text) {
			t.Error("they write it differently")
		}
	}
}

func FuzzParseProof(f *testing.F) {
	w := newWorld()
	p := w.log.Prove(1, w.w1)
	f.Add(p.Marshal())
	p.Extra = []byte{}
	f.Add(p.Marshal())
	p.Extra = []byte("b")
	f.Add(p.Marshal())
	f.Add((&trust.Proof{Index: 1<<63 - 1, Hashes: make([]tlog.Hash, 63), Checkpoint: w.log.Checkpoint()}).Marshal())
	policy := w.policy(1)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := trust.ParseProof(text)
		if err != nil {
			if !errors.Is(err, trust.ErrMalformed) {
				t.Errorf("error of another kind: %v", err)
			}
			return
		}
		if !bytes.Equal(p.Marshal(), text) {
			t.Errorf("written again: %q", p.Marshal())
		}
		if _, err := policy.CheckProof(p, []byte("a leaf that was never logged")); err == nil {
			t.Error("a leaf that was never logged is proved")
		}
	})
}

func BenchmarkCheckProof(b *testing.B) {
	w := newWorld()
	for i := range int64(1000) {
		w.log.Append(leaf(i))
	}
	policy := w.policy(3)
	proof := w.log.Prove(1, w.witnesses...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.CheckProof(proof, []byte("b")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseProof(b *testing.B) {
	w := newWorld()
	proof := w.log.Prove(1, w.witnesses...)
	proof.Extra = bytes.Repeat([]byte("x"), 1000)
	text := proof.Marshal()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := trust.ParseProof(text); err != nil {
			b.Fatal(err)
		}
	}
}
