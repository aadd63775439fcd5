package second

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

type mldsaCase struct {
	Key       []byte `json:"key"`
	Message   []byte `json:"message"`
	Context   []byte `json:"context"`
	Signature []byte `json:"signature"`
	what      string
	good      bool
}

// TestMLDSASignaturesAreJudgedAlike: signatures of many keys, contexts and lengths, and what was changed in them.
func TestMLDSASignaturesAreJudgedAlike(t *testing.T) {
	random, s := rand.New(rand.NewPCG(44, 204)), serve(t)
	keys, changes := 8, 12
	if long {
		keys, changes = 60, 150
	}
	var cases []mldsaCase
	add := func(what string, key, message, context, signature []byte) {
		public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), key)
		good := err == nil && mldsa.Verify(public, message, signature, &mldsa.Options{Context: string(context)}) == nil
		cases = append(cases, mldsaCase{key, message, context, signature, what, good})
	}
	for i := range keys {
		private, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed(fmt.Sprint("key ", i)))
		if err != nil {
			t.Fatal(err)
		}
		key, message := private.PublicKey().Bytes(), bytes.Repeat([]byte{byte(i)}, i*37)
		context := []byte(strings.Repeat("c", []int{0, 1, 13, 255}[i%4]))
		signature, err := private.SignDeterministic(message, &mldsa.Options{Context: string(context)})
		if err != nil {
			t.Fatal(err)
		}
		add("as it is", key, message, context, signature)
		add("another message", key, append(bytes.Clone(message), 0), context, signature)
		add("another context", key, message, append([]byte("x"), context[min(1, len(context)):]...), signature)
		if len(context) > 0 {
			add("no context", key, message, nil, signature)
		}
		add("a byte less", key, message, context, signature[:len(signature)-1])
		add("a byte more", key, message, context, append(bytes.Clone(signature), 0))
		add("a key that is short", key[:len(key)-1], message, context, signature)
		add("of zeros", key, message, context, make([]byte, len(signature)))
		hints := len(signature) - 84
		edit := func(what string, change func(b []byte)) {
			b := bytes.Clone(signature)
			change(b)
			add(what, key, message, context, b)
		}
		edit("z at its bound", func(b []byte) { copy(b[32:], []byte{0, 0, 0}) })
		edit("two hints in the wrong order", func(b []byte) { b[hints], b[hints+1] = b[hints+1], b[hints] })
		edit("a hint twice", func(b []byte) { b[hints+1] = b[hints] })
		edit("a count of hints that goes back", func(b []byte) { b[len(b)-3] = 0 })
		edit("too many hints", func(b []byte) { b[len(b)-1] = 81 })
		edit("something behind the hints", func(b []byte) { b[len(b)-5] ^= 1 })
		for range changes {
			at := random.IntN(len(signature))
			edit(fmt.Sprintf("bit of byte %d", at), func(b []byte) { b[at] ^= 1 << random.IntN(8) })
			at = len(signature) - 1 - random.IntN(84)
			edit(fmt.Sprintf("hint %d", at), func(b []byte) { b[at] = byte(random.IntN(256)) })
			at = random.IntN(len(key))
			other := bytes.Clone(key)
			other[at] ^= 1 << random.IntN(8)
			add(fmt.Sprintf("bit of byte %d of the key", at), other, message, context, signature)
		}
	}
	good := 0
	for i, got := range askSecond[bool](t, s, "mldsa", cases) {
		if got != cases[i].good {
			t.Errorf("%s: %t", cases[i].what, got)
		}
		if got {
			good++
		}
	}
	t.Logf("%d signatures, %d of them good", len(cases), good)
	if good < keys || good > 2*keys {
		t.Errorf("%d are good", good)
	}
}

func seed(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// anchorCase is a proof, and what is believed.
type anchorCase struct {
	Pack     string `json:"pack"`
	Now      string `json:"now"`
	Policy   []byte `json:"policy"`
	Roots    []byte `json:"roots,omitempty"`
	Optional bool   `json:"optional"`
	Proof    []byte `json:"proof"`
	what     string
}

type anchorAnswer struct {
	Word, Log, Time, Refused string
	List, Cosigned, Why      []string
}

// ask gives our own answer.
func (c anchorCase) ask(t *testing.T) (a anchorAnswer) {
	t.Helper()
	policy, err := trust.ParsePolicy(c.Policy)
	if err != nil {
		return anchorAnswer{Refused: err.Error()}
	}
	now, err := time.Parse(time.RFC3339, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	o := pack.Options{Now: now, Policy: policy, Proof: c.Proof, TimeOptional: c.Optional}
	if c.Roots != nil {
		roots, err := timestamp.ParseRoots(c.Roots)
		if err != nil {
			return anchorAnswer{Refused: err.Error()}
		}
		o.TSARoots = roots.Pool()
	}
	r, err := pack.VerifyDir(c.Pack, o)
	if err != nil {
		t.Fatal(err)
	}
	a = anchorAnswer{Word: string(r.Anchor.Verdict), Log: "SKIPPED", Time: string(r.Anchor.Timed)}
	if r.Anchor.Checkpoint != nil {
		a.Log = "PASS"
		for _, c := range r.Anchor.Checkpoint.Cosignatures {
			a.Cosigned = append(a.Cosigned, c.Witness)
		}
	} else if r.Anchor.Verdict == pack.Fail {
		a.Log = "FAIL"
	}
	for _, f := range slices.Concat(r.Findings.In(manifest.ChannelAnchor), r.Warnings.In(manifest.ChannelAnchor)) {
		a.List = append(a.List, f.Code+" "+f.Field)
		a.Why = append(a.Why, f.Message)
	}
	return a
}

// subtreeLine is a signature line of an ML-DSA-44 key of a log.
func subtreeLine(name string, key *mldsa.PrivateKey, at uint64, size int64, root [32]byte) string {
	message := append([]byte("subtree/v1\n\x00"), byte(len(name)))
	message = binary.BigEndian.AppendUint64(append(message, name...), at)
	message = append(append(message, byte(len(name))), name...)
	message = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(message, 0), uint64(size))
	signature, err := key.SignDeterministic(append(message, root[:]...), nil)
	if err != nil {
		panic(err)
	}
	public := append([]byte{6}, key.PublicKey().Bytes()...)
	id := sha256.Sum256(append([]byte(name+"\n"), public...))
	line := binary.BigEndian.AppendUint64(bytes.Clone(id[:4]), at)
	return "\u2014 " + name + " " + base64.StdEncoding.EncodeToString(append(line, signature...)) + "\n"
}

func mldsaVKey(name string, key *mldsa.PrivateKey) string {
	public := append([]byte{6}, key.PublicKey().Bytes()...)
	id := sha256.Sum256(append([]byte(name+"\n"), public...))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(public))
}

// TestAnchorsAreJudgedAlike: proofs with cosignatures of both algorithms and with tokens, and what was changed in proof and
// policy (ENT-12 to ENT-66).
func TestAnchorsAreJudgedAlike(t *testing.T) {
	random, s, changes := rand.New(rand.NewPCG(9, 66)), serve(t), 5
	if long {
		changes = 200
	}
	dir := must[string](t)(filepath.Abs("../corpus/packs/good_01"))
	text := must[[]byte](t)(os.ReadFile(filepath.Join(dir, manifest.Name)))
	m, findings := manifest.Verify(text)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	const origin = "ledger.example/both"
	log := trusttest.NewLog(origin)
	w1, w2, pq := trusttest.NewWitness("w1.example", trust.Ed25519Cosigner), trusttest.NewWitness("w2.example", trust.Ed25519Cosigner), trusttest.NewWitness("pq.example", trust.MLDSA44Cosigner)
	pqLog := must[*mldsa.PrivateKey](t)(mldsa.NewPrivateKey(mldsa.MLDSA44(), seed("log")))
	log.Append([]byte("something else"))

	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	tsa, late := must[*timestamp.Authority](t)(timestamp.NewAuthority(nil, at)), must[*timestamp.Authority](t)(timestamp.NewAuthority(nil, at.AddDate(0, -3, 0)))
	token := func(a *timestamp.Authority, digest [32]byte, at time.Time) []byte {
		request := must[[]byte](t)(timestamp.Request(digest, nil))
		return must[[]byte](t)(timestamp.ParseResponse(a.Respond(request, at)))
	}
	proof := func(token []byte, witnesses ...*trusttest.Witness) *trust.Proof {
		leaf := must[entry.Entry](t)(entry.New(m, entry.Source{Repo: "owner/name"}, at, token)).Leaf()
		p := log.Prove(log.Append(leaf), witnesses...)
		p.Extra = leaf
		return p
	}
	line := func(words ...string) string { return strings.Join(words, " ") + "\n" }
	logs := line("log", log.Signer.VKey())
	quorum := func(k string, witnesses ...*trusttest.Witness) string {
		var text, names string
		for i, w := range witnesses {
			text += line("witness", fmt.Sprint("n", i), w.Cosigner.VKey())
			names += fmt.Sprint(" n", i)
		}
		return text + "group g " + k + names + "\nquorum g\n"
	}
	policies := map[string]string{
		"nobody": logs + "quorum none\n", "one ML-DSA-44": logs + quorum("any", pq), "all three": logs + quorum("all", w1, w2, pq),
		"two of three": logs + quorum("2", w1, pq, w2), "another log": line("log", trusttest.NewLog("other.example/log").Signer.VKey()) + quorum("any", w1),
		"ML-DSA-44 logs": line("log", mldsaVKey(origin, pqLog)) + "quorum none\n", "both keys of the log": line("log", mldsaVKey(origin, pqLog)) + logs + quorum("any", pq),
	}
	good, none, early := proof(token(tsa, m.Digest(), at), w1, pq), proof(nil, w1, w2, pq), proof(token(late, m.Digest(), at.AddDate(0, -3, 0).Add(time.Minute)), pq)
	before := proof(token(tsa, m.Digest(), at.Add(-time.Hour)), pq)
	other := proof(token(tsa, sha256.Sum256([]byte("other")), at), w1, w2, pq)
	root := log.Root(log.Size())
	signed := func(p *trust.Proof, at uint64) *trust.Proof {
		return &trust.Proof{Extra: p.Extra, Index: p.Index, Hashes: log.ProveAt(p.Index, log.Size(), w1).Hashes,
			Checkpoint: fmt.Appendf(nil, "%s\n%d\n%s\n\n%s", origin, log.Size(), root, subtreeLine(origin, pqLog, at, log.Size(), root))}
	}
	proofs := map[string]*trust.Proof{"good": good, "without a token": none, "of an old token": early, "of an earlier token": before, "of another token": other,
		"by ML-DSA-44": signed(none, 5), "by ML-DSA-44 at no time": signed(good, 0), "by ML-DSA-44 at a time of 64 bits": signed(good, 1<<63)}
	roots := map[string][]byte{"no roots": nil, "its roots": tsa.RootPEM(), "other roots": late.RootPEM(), "both roots": append(tsa.RootPEM(), late.RootPEM()...)}
	now := at.Add(time.Hour).Format(time.RFC3339)

	var cases []anchorCase
	for believed, policy := range policies {
		for what, p := range proofs {
			for whose, roots := range roots {
				for _, optional := range []bool{false, true} {
					c := anchorCase{Pack: dir, Now: now, Policy: []byte(policy), Roots: roots, Optional: optional, Proof: p.Marshal(),
						what: fmt.Sprintf("%s, %s, %s, optional %t", what, believed, whose, optional)}
					cases = append(cases, c)
				}
			}
			c := anchorCase{Pack: dir, Now: now, Policy: []byte(policy), Roots: roots["both roots"], what: what + ", " + believed}
			text := p.Marshal()
			for range changes {
				c := c
				c.Proof = changed(random, text)
				c.what += fmt.Sprintf(", changed: %q", difference(text, c.Proof))
				cases = append(cases, c)
				c.Proof = text
				c.Policy = changed(random, []byte(policy))
				c.what = fmt.Sprintf("%s, changed policy %q", what, difference([]byte(policy), c.Policy))
				cases = append(cases, c)
			}
		}
	}
	words, differ := map[string]int{}, 0
	for batch := range slices.Chunk(cases, 500) {
		for i, got := range askSecond[anchorAnswer](t, s, "anchor", batch) {
			want := batch[i].ask(t)
			words[want.Log+" "+want.Time]++
			alike := (got.Refused == "") == (want.Refused == "") && got.Word == want.Word && got.Log == want.Log && got.Time == want.Time &&
				slices.Equal(got.List, want.List) && (got.Log != "PASS" || slices.Equal(got.Cosigned, want.Cosigned))
			if !alike {
				if differ++; differ < 12 {
					t.Errorf("%s:\nwe say  %+v\nthe other %+v", batch[i].what, want, got)
				}
			}
		}
	}
	t.Logf("%d anchors, %d differ: %v", len(cases), differ, words)
	for _, kind := range []string{"PASS PASS", "PASS FAIL", "PASS SKIPPED", "FAIL SKIPPED"} {
		if words[kind] < 5 {
			t.Errorf("only %d are %s", words[kind], kind)
		}
	}
}

// fillAnchors writes packs that are logged, with tokens of several times, and who is believed of their log and their time.
func fillAnchors(t *testing.T, dir string) {
	t.Helper()
	const pack = "../corpus/packs/good_01"
	m, findings := manifest.Verify(must[[]byte](t)(os.ReadFile(filepath.Join(pack, manifest.Name))))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	log, w1, w2 := trusttest.NewLog("ledger.example/lines"), trusttest.NewWitness("w1.example", trust.Ed25519Cosigner), trusttest.NewWitness("w2.example", trust.MLDSA44Cosigner)
	roots, stranger := must[*timestamp.Authority](t)(timestamp.NewAuthority(nil, at.Add(-time.Hour))), must[*timestamp.Authority](t)(timestamp.NewAuthority(nil, at.AddDate(0, -1, 0)))
	for name, made := range map[string]struct {
		by *timestamp.Authority
		at time.Time
	}{"logged": {roots, at}, "bare": {}, "early": {roots, at.Add(-61 * time.Minute)}, "old": {stranger, at.AddDate(0, -1, 0)}} {
		var token []byte
		if made.by != nil {
			token = must[[]byte](t)(timestamp.ParseResponse(made.by.Respond(must[[]byte](t)(timestamp.Request(m.Digest(), nil)), made.at)))
		}
		leaf := must[entry.Entry](t)(entry.New(m, entry.Source{}, at.Add(290*time.Millisecond), token)).Leaf()
		proof := log.Prove(log.Append(leaf), w2, w1)
		proof.Extra = leaf
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(pack)); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name, manifest.ProofName), proof.Marshal())
	}
	write(t, filepath.Join(dir, "believed"), fmt.Appendf(nil, "log %s\nwitness one %s\nwitness two %s\ngroup both all one two\nquorum both\n",
		log.Signer.VKey(), w1.Cosigner.VKey(), w2.Cosigner.VKey()))
	write(t, filepath.Join(dir, "roots"), roots.RootPEM())
	write(t, filepath.Join(dir, "stranger"), stranger.RootPEM())
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// changed gives a text in which one byte is another one, is gone or is new, or two lines have changed places.
func changed(random *rand.Rand, text []byte) []byte {
	b, at := bytes.Clone(text), random.IntN(len(text))
	if random.IntN(3) > 0 { // where the lines are short
		at = len(text) - 1 - random.IntN(min(len(text), 400))
	}
	switch random.IntN(6) {
	case 0:
		b[at] ^= 1 << random.IntN(8)
	case 1:
		b[at] = "\n +/=0123456789AZ\u2014"[random.IntN(18)]
	case 2:
		b = slices.Insert(b, at, "\n 0A="[random.IntN(5)])
	case 3:
		b = slices.Delete(b, at, at+1)
	case 4:
		lines := bytes.SplitAfter(b, []byte("\n"))
		i, j := random.IntN(len(lines)), random.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
		b = bytes.Join(lines, nil)
	default:
		lines := bytes.SplitAfter(b, []byte("\n"))
		i := random.IntN(len(lines))
		b = bytes.Join(slices.Insert(lines, random.IntN(len(lines)), lines[i]), nil)
	}
	return b
}

// difference shows where two texts begin to differ.
func difference(a, b []byte) string {
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	return fmt.Sprintf("%s -> %s", a[max(0, at-10):min(len(a), at+20)], b[max(0, at-10):min(len(b), at+20)])
}

// must gives the value of a call that cannot fail here.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
