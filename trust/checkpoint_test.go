package trust_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	formatsnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// world is a log of three leaves with two Ed25519 witnesses and one of ML-DSA-44.
type world struct {
	log        *trusttest.Log
	w1, w2, w3 *trusttest.Witness // w2 is ML-DSA-44
	witnesses  []*trusttest.Witness
}

func newWorld() *world {
	w := &world{
		log: trusttest.NewLog("example.com/log"),
		w1:  trusttest.NewWitness("w1.example", trust.Ed25519Cosigner),
		w2:  trusttest.NewWitness("w2.example", trust.MLDSA44Cosigner),
		w3:  trusttest.NewWitness("w3.example", trust.Ed25519Cosigner),
	}
	w.witnesses = []*trusttest.Witness{w.w1, w.w2, w.w3}
	for _, leaf := range []string{"a", "b", "c"} {
		w.log.Append([]byte(leaf))
	}
	return w
}

func (w *world) policy(k int) *trust.Policy { return trusttest.Policy(w.log, w.witnesses, k) }

// text is the note text of the whole log.
func (w *world) text() string {
	return "example.com/log\n3\n" + w.log.Root(3).String() + "\n"
}

// seed returns the seed in a secret key.
func seed(t testing.TB, skey string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(skey[strings.LastIndex(skey[:len(skey)-44], "+")+1:])
	if err != nil || len(b) != 33 {
		t.Fatalf("seed of %d bytes, %v", len(b), err)
	}
	return b[1:]
}

// keyID returns the key ID in a secret or verifier key.
func keyID(t testing.TB, key string) uint32 {
	t.Helper()
	parts := strings.SplitN(strings.TrimPrefix(key, "PRIVATE+KEY+"), "+", 3)
	id, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(id)
}

func sigLine(name string, id uint32, sig []byte) string {
	return "— " + name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, id), sig...)) + "\n"
}

// logLine signs any text with the log's key.
func logLine(t testing.TB, log *trusttest.Log, text string) string {
	t.Helper()
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(seed(t, log.SecretKey)), []byte(text))
	return sigLine(log.Signer.Origin(), keyID(t, log.SecretKey), sig)
}

// cosignLine makes an Ed25519 cosignature of any text at any time.
func cosignLine(t testing.TB, w *trusttest.Witness, text string, timestamp uint64) string {
	t.Helper()
	message := "cosignature/v1\ntime " + strconv.FormatUint(timestamp, 10) + "\n" + text
	sig := ed25519.Sign(ed25519.NewKeyFromSeed(seed(t, w.SecretKey)), []byte(message))
	return sigLine(w.Cosigner.Name(), keyID(t, w.SecretKey), append(binary.BigEndian.AppendUint64(nil, timestamp), sig...))
}

// subtreeLine makes an ML-DSA-44 cosignature of any subtree, under any name.
func subtreeLine(t testing.TB, w *trusttest.Witness, name, origin string, timestamp uint64, start, end int64, root tlog.Hash, context string) string {
	t.Helper()
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), seed(t, w.SecretKey))
	if err != nil {
		t.Fatal(err)
	}
	m := []byte("subtree/v1\n\x00")
	m = append(append(m, byte(len(name))), name...)
	m = binary.BigEndian.AppendUint64(m, timestamp)
	m = append(append(m, byte(len(origin))), origin...)
	m = binary.BigEndian.AppendUint64(m, uint64(start))
	m = binary.BigEndian.AppendUint64(m, uint64(end))
	m = append(m, root[:]...)
	sig, err := key.Sign(nil, m, &mldsa.Options{Context: context})
	if err != nil {
		t.Fatal(err)
	}
	return sigLine(w.Cosigner.Name(), keyID(t, w.SecretKey), append(binary.BigEndian.AppendUint64(nil, timestamp), sig...))
}

// cosigners returns the policy names of those whose cosignatures were verified.
func cosigners(cp *trust.Checkpoint) string {
	var names []string
	for _, c := range cp.Cosignatures {
		names = append(names, c.Witness)
	}
	return strings.Join(names, " ")
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// ENT-41
func TestCheckpointOpensWithEachQuorumItMeets(t *testing.T) {
	w := newWorld()
	signed := w.log.Checkpoint(w.w3, w.w2)
	for k := range 4 {
		cp, err := w.policy(k).OpenCheckpoint(signed)
		if k > 2 {
			wantError(t, "3 of 3 with two cosignatures", err, trust.ErrQuorum)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if cp.Origin != "example.com/log" || cp.Size != 3 || cp.Root != w.log.Root(3) || cp.Extensions != nil {
			t.Errorf("checkpoint %+v", cp)
		}
		if string(cp.Text()) != w.text() {
			t.Errorf("text %q", cp.Text())
		}
		if cosigners(cp) != "w2.example w3.example" { // policy order, not note order
			t.Errorf("cosigned by %s", cosigners(cp))
		}
	}
}

// ENT-24
func TestLinesOfUnknownKeysAreIgnored(t *testing.T) {
	w := newWorld()
	policy := w.policy(2)
	stranger := trusttest.NewLog("example.org/stranger")
	logID, w1ID := keyID(t, w.log.SecretKey), keyID(t, w.w1.SecretKey)
	garbage := bytes.Repeat([]byte{7}, 64)
	body := string(w.log.Checkpoint(w.w1, w.w2))
	head := w.text() + "\n"
	for name, line := range map[string]string{
		"a stranger":                   logLine(t, stranger, w.text()),
		"the log's name, another ID":   sigLine("example.com/log", logID+1, garbage),
		"another name, the log's ID":   sigLine("example.com/log2", logID, garbage),
		"a witness's name, another ID": sigLine("w1.example", w1ID^1, garbage),
		"another name, a witness's ID": sigLine("w9.example", w1ID, garbage),
		"the witness's name, log's ID": sigLine("w1.example", logID, garbage),
	} {
		for _, signed := range []string{body + line, head + line + strings.TrimPrefix(body, head)} {
			cp, err := policy.OpenCheckpoint([]byte(signed))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if string(cp.Signed) != body {
				t.Errorf("%s: the line is kept", name)
			}
		}
	}
	_, err := policy.OpenCheckpoint([]byte(head + logLine(t, stranger, w.text())))
	wantError(t, "signed by a stranger alone", err, trust.ErrSignature)
}

// ENT-25
func TestForgedLogSignatureLineRejectsTheNote(t *testing.T) {
	w := newWorld()
	other := trusttest.NewLog("example.com/other")
	policy, err := trust.ParsePolicy(trust.FormatPolicy(
		[]trust.PolicyLog{{VKey: w.log.Signer.VKey()}, {VKey: other.Signer.VKey()}}, nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	good := string(w.log.Checkpoint())
	forged := sigLine("example.com/log", keyID(t, w.log.SecretKey), bytes.Repeat([]byte{7}, 64))
	short := sigLine("example.com/log", keyID(t, w.log.SecretKey), []byte{7})
	for name, signed := range map[string]string{
		"after the good line":   good + forged,
		"before the good line":  strings.Replace(good, "\n\n", "\n\n"+forged, 1),
		"alone":                 w.text() + "\n" + forged,
		"too short":             good + short,
		"of another log":        good + sigLine("example.com/other", keyID(t, other.SecretKey), bytes.Repeat([]byte{7}, 64)),
		"over another text":     good + logLine(t, w.log, "example.com/log\n4\n"+w.log.Root(3).String()+"\n"),
		"text changed":          strings.Replace(good, "\n3\n", "\n2\n", 1),
		"extension line added":  strings.Replace(good, "\n\n", "\nextension\n\n", 1),
		"signature of no bytes": w.text() + "\n" + sigLine("example.com/log", keyID(t, w.log.SecretKey), []byte{0}),
	} {
		_, err := policy.OpenLogSignature([]byte(signed))
		wantError(t, name, err, trust.ErrSignature)
	}
	// A valid line of another log of the policy proves nothing of this one, and harms nothing.
	cp, err := policy.OpenLogSignature([]byte(good + logLine(t, other, w.text())))
	if err != nil || string(cp.Signed) != good {
		t.Errorf("with a valid line of another log: %v", err)
	}
	_, err = policy.OpenLogSignature([]byte(w.text() + "\n" + logLine(t, other, w.text())))
	wantError(t, "signed by the key of another log alone", err, trust.ErrSignature)
}

// pqLog is a policy with a log whose one key is ML-DSA-44, and that key.
func pqLog(t *testing.T) (*trust.Policy, *trusttest.Witness) {
	t.Helper()
	key := trusttest.NewWitness("example.com/log", trust.MLDSA44Cosigner)
	policy, err := trust.ParsePolicy([]byte("log " + key.Cosigner.VKey() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	return policy, key
}

// The same under the other algorithm, whose signatures begin with a time.
//
// ENT-25
func TestForgedLogSignatureLineUnderMLDSARejectsTheNote(t *testing.T) {
	w := newWorld()
	policy, key := pqLog(t)
	head := w.text() + "\n"
	id := keyID(t, key.SecretKey)
	good := subtreeLine(t, key, "example.com/log", "example.com/log", 5, 0, 3, w.log.Root(3), "")
	if _, err := policy.OpenCheckpoint([]byte(head + good)); err != nil {
		t.Fatal(err)
	}
	blob, err := base64.StdEncoding.DecodeString(strings.Fields(good)[2])
	if err != nil {
		t.Fatal(err)
	}
	sig := blob[4:] // after the key ID
	forged := map[string][]byte{
		"a byte less":                sig[:len(sig)-1],
		"a byte more":                append(bytes.Clone(sig), 0),
		"without its time":           sig[8:],
		"another time":               append([]byte{0, 0, 0, 0, 0, 0, 0, 6}, sig[8:]...),
		"of zeros":                   make([]byte, len(sig)),
		"the time's top bit":         append([]byte{0x80, 0, 0, 0, 0, 0, 0, 5}, sig[8:]...),
		"all bits of the time":       append(bytes.Repeat([]byte{0xff}, 8), sig[8:]...),
		"the last bit of the answer": append(bytes.Clone(sig[:len(sig)-1]), sig[len(sig)-1]^1),
	}
	for n := 1; n < 20; n++ {
		forged[fmt.Sprintf("the first %d bytes", n)] = sig[:n]
		forged[fmt.Sprintf("%d bytes of 0xff", n)] = bytes.Repeat([]byte{0xff}, n)
	}
	for name, sig := range forged {
		line := sigLine("example.com/log", id, sig)
		for _, signed := range []string{head + line, head + good + line, head + line + good} {
			_, err := policy.OpenCheckpoint([]byte(signed))
			wantError(t, name, err, trust.ErrSignature)
		}
	}
	// A signature that was made over such a time does not help.
	for _, timestamp := range []uint64{1 << 63, math.MaxUint64} {
		line := subtreeLine(t, key, "example.com/log", "example.com/log", timestamp, 0, 3, w.log.Root(3), "")
		_, err := policy.OpenCheckpoint([]byte(head + line))
		wantError(t, "signed at a time above 2^63-1", err, trust.ErrSignature)
	}
}

// An Ed25519 log signs text, an ML-DSA-44 log a tree: no tree, no signature, whatever stands in the line.
// ENT-27
func TestTextThatIsNoCheckpointHasNoMLDSASignature(t *testing.T) {
	w := newWorld()
	policy, key := pqLog(t)
	line := subtreeLine(t, key, "example.com/log", "example.com/log", 5, 0, 3, w.log.Root(3), "")
	for _, text := range []string{
		"example.com/log\n", "example.com/log\n\n", "example.com/log\n3\n", "example.com/log\n03\n" + w.log.Root(3).String() + "\n",
		"example.com/log\n3\n" + w.log.Root(3).String() + "=\n", "example.com/log\n0\n" + w.log.Root(3).String() + "\n",
	} {
		for _, line := range []string{line, sigLine("example.com/log", keyID(t, key.SecretKey), []byte{7})} {
			cp, err := policy.OpenCheckpoint([]byte(text + "\n" + line))
			wantError(t, fmt.Sprintf("%q", text), err, trust.ErrSignature)
			if cp != nil {
				t.Errorf("%q: opened %+v", text, cp)
			}
		}
	}
}

// What a failing log line does to a note, a failing witness line does not.
// ENT-31
func TestForgedCosignatureLineIsIgnored(t *testing.T) {
	w := newWorld()
	policy := w.policy(2)
	good := string(w.log.Checkpoint(w.w1, w.w2))
	id := keyID(t, w.w3.SecretKey)
	for name, forged := range map[string]string{
		"garbage":                 sigLine("w3.example", id, bytes.Repeat([]byte{7}, 72)),
		"short":                   sigLine("w3.example", id, []byte{7}),
		"of another text":         cosignLine(t, w.w3, strings.Replace(w.text(), "3", "4", 1), 1767323045),
		"without the cosig label": sigLine("w3.example", id, append(make([]byte, 8), ed25519.Sign(ed25519.NewKeyFromSeed(seed(t, w.w3.SecretKey)), []byte(w.text()))...)),
	} {
		for _, signed := range []string{good + forged, strings.Replace(good, "\n\n", "\n\n"+forged, 1)} {
			cp, err := policy.OpenCheckpoint([]byte(signed))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if cosigners(cp) != "w1.example w2.example" || string(cp.Signed) != good {
				t.Errorf("%s: cosigned by %s", name, cosigners(cp))
			}
			_, err = w.policy(3).OpenCheckpoint([]byte(signed))
			wantError(t, name+" as the third of three", err, trust.ErrQuorum)
		}
	}
	// The genuine line counts wherever the forged one stands.
	forged := sigLine("w3.example", id, bytes.Repeat([]byte{7}, 72))
	cp, err := w.policy(3).OpenCheckpoint([]byte(good + forged + string(w.w3.Cosign([]byte(good)))))
	if err != nil || cosigners(cp) != "w1.example w2.example w3.example" {
		t.Errorf("genuine after forged: %v", err)
	}
}

// ENT-32
func TestTwoLinesOfOneWitnessCountOnce(t *testing.T) {
	w := newWorld()
	signed := w.log.Checkpoint(w.w1, w.w1)
	late := *w.w1
	late.Time = trusttest.Time.Add(time.Hour)
	signed = append(signed, late.Cosign(signed)...)
	_, err := w.policy(2).OpenCheckpoint(signed)
	wantError(t, "2 of 3 by one witness", err, trust.ErrQuorum)
	cp, err := w.policy(1).OpenCheckpoint(signed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(cp.Signed, w.log.Checkpoint(w.w1)) || !cp.Cosignatures[0].Time.Equal(trusttest.Time) {
		t.Error("not the first line alone is kept")
	}
	twice := append(w.log.Checkpoint(), logLine(t, w.log, w.text())...)
	if cp, err := w.policy(0).OpenCheckpoint(twice); err != nil || !bytes.Equal(cp.Signed, w.log.Checkpoint()) {
		t.Errorf("log line twice: %v", err)
	}
}

// ENT-26
func TestNothingOfAnUnsignedTextIsSaid(t *testing.T) {
	w := newWorld()
	stranger := trusttest.NewLog("example.org/stranger")
	for _, text := range []string{
		"example.com/log\nSENTINEL\nSENTINEL\n",
		"example.com/log\n0\n" + w.log.Root(3).String() + "\nSENTINEL\n",
		"SENTINEL\n1\nSENTINEL\n",
		"\nSENTINEL\n",
	} {
		cp, err := w.policy(0).OpenLogSignature([]byte(text + "\n" + logLine(t, stranger, text)))
		if cp != nil || !errors.Is(err, trust.ErrSignature) && !errors.Is(err, trust.ErrUnknownLog) {
			t.Errorf("%q: %v", text, err)
		} else if strings.Contains(err.Error(), "SENTINEL") {
			t.Errorf("the error tells: %v", err)
		}
	}
}

// ENT-14
func TestOneKeyUnderTwoTypesHasTwoIDs(t *testing.T) {
	ids := map[uint32]bool{}
	for _, alg := range []trust.Algorithm{trust.Ed25519, trust.Ed25519Cosigner, trust.MLDSA44Cosigner} {
		_, vkey, err := trust.GenerateKey(bytes.NewReader(make([]byte, 32)), "example.com/log", alg)
		if err != nil {
			t.Fatal(err)
		}
		ids[keyID(t, vkey)] = true
	}
	if len(ids) != 3 {
		t.Errorf("%d IDs for three types", len(ids))
	}
}

// ENT-20
func TestCheckpointTextHasOneSpelling(t *testing.T) {
	root := trust.LeafHash([]byte("x"))
	b64 := root.String()
	for _, good := range []string{
		"example.com/log\n1\n" + b64 + "\n",
		"any origin at all + спасибо\n9223372036854775807\n" + b64 + "\n",
		"o\n1\n" + b64 + "\none\ntwo\n one\n",
		"o\n1\n" + b64 + "\n— looks like a signature\n",
		"o\n0\n" + trust.EmptyRoot.String() + "\n",
	} {
		cp, err := trust.ParseCheckpointText([]byte(good))
		if err != nil {
			t.Errorf("%q: %v", good, err)
		} else if string(cp.Text()) != good {
			t.Errorf("%q written again: %q", good, cp.Text())
		}
	}
	for name, bad := range map[string]string{
		"empty":                      "",
		"newline":                    "\n",
		"no newline at the end":      "o\n1\n" + b64,
		"two lines":                  "o\n1\n",
		"empty origin":               "\n1\n" + b64 + "\n",
		"empty size":                 "o\n\n" + b64 + "\n",
		"empty root":                 "o\n1\n\n",
		"empty extension":            "o\n1\n" + b64 + "\n\n",
		"empty extension inside":     "o\n1\n" + b64 + "\na\n\nb\n",
		"CRLF":                       "o\r\n1\r\n" + b64 + "\r\n",
		"tab":                        "o\tp\n1\n" + b64 + "\n",
		"leading zero":               "o\n01\n" + b64 + "\n",
		"two zeros":                  "o\n00\n" + trust.EmptyRoot.String() + "\n",
		"plus":                       "o\n+1\n" + b64 + "\n",
		"minus":                      "o\n-1\n" + b64 + "\n",
		"minus zero":                 "o\n-0\n" + trust.EmptyRoot.String() + "\n",
		"size 2^63":                  "o\n9223372036854775808\n" + b64 + "\n",
		"size 2^64":                  "o\n18446744073709551616\n" + b64 + "\n",
		"space before the size":      "o\n 1\n" + b64 + "\n",
		"space after the size":       "o\n1 \n" + b64 + "\n",
		"hexadecimal":                "o\n0x1\n" + b64 + "\n",
		"Arabic digit":               "o\n١\n" + b64 + "\n",
		"root of 31 bytes":           "o\n1\n" + base64.StdEncoding.EncodeToString(root[:31]) + "\n",
		"root of 33 bytes":           "o\n1\n" + base64.StdEncoding.EncodeToString(append(root[:], 0)) + "\n",
		"root without padding":       "o\n1\n" + strings.TrimRight(b64, "=") + "\n",
		"root in URL base64":         "o\n1\n" + base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)) + "\n",
		"root with set padding bits": "o\n1\n" + b64[:42] + string(b64[42]+1) + "=\n",
		"space after the root":       "o\n1\n" + b64 + " \n",
		"not UTF-8":                  "o\xff\n1\n" + b64 + "\n",
		"over 1 MiB":                 strings.Repeat("o", trust.MaxSize) + "\n1\n" + b64 + "\n",
	} {
		_, err := trust.ParseCheckpointText([]byte(bad))
		wantError(t, name, err, trust.ErrMalformed)
	}
}

// ENT-22, ENT-27
func TestExtensionLinesAreKeptAndSigned(t *testing.T) {
	w := newWorld()
	text := w.text() + "first\nsecond line\n"
	signed := text + "\n" + logLine(t, w.log, text) + cosignLine(t, w.w1, text, 5)
	cp, err := w.policy(1).OpenCheckpoint([]byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(cp.Extensions, "|") != "first|second line" || string(cp.Signed) != signed {
		t.Errorf("extensions %q", cp.Extensions)
	}
	_, err = w.policy(1).OpenCheckpoint([]byte(strings.Replace(signed, "second", "third", 1)))
	wantError(t, "changed extension", err, trust.ErrSignature)
	// Our own log signs none.
	if _, err := w.log.Signer.NoteSigner().Sign([]byte(text)); err == nil {
		t.Error("the log signer signs extension lines")
	}
}

// ENT-22
func TestLogSignsOnlyForItsOwnName(t *testing.T) {
	w := newWorld()
	root := w.log.Root(3)
	if _, err := w.log.Signer.Sign("example.com/other", 3, root); err == nil {
		t.Error("signed for another origin")
	}
	if _, err := w.log.Signer.Sign("example.com/log", -1, root); err == nil {
		t.Error("signed a negative size")
	}
	if _, err := w.log.Signer.Sign("example.com/log\n", 3, root); err == nil {
		t.Error("signed an origin with a newline")
	}
	signer := w.log.Signer.NoteSigner()
	for _, text := range []string{"", "hello\n", "example.com/other\n3\n" + root.String() + "\n", w.text() + "\n", "cosignature/v1\ntime 1\n" + w.text()} {
		if _, err := signer.Sign([]byte(text)); err == nil {
			t.Errorf("signed %q", text)
		}
	}
	signed, err := note.Sign(&note.Note{Text: w.text()}, signer)
	if err != nil || !bytes.Equal(signed, w.log.Checkpoint()) {
		t.Errorf("through sumdb/note: %v", err)
	}
}

// ENT-26, ENT-27
func TestALogWithTwoKeysKeepsBothLines(t *testing.T) {
	w := newWorld()
	// The log's second key is ML-DSA-44, under the same name.
	pq := trusttest.NewWitness("example.com/log", trust.MLDSA44Cosigner)
	policy, err := trust.ParsePolicy([]byte("log " + pq.Cosigner.VKey() + "\nlog " + w.log.Signer.VKey() + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	ed := string(w.log.Checkpoint())
	head := w.text() + "\n"
	pqLine := subtreeLine(t, pq, "example.com/log", "example.com/log", 0, 0, 3, w.log.Root(3), "")
	cp, err := policy.OpenCheckpoint([]byte(ed + pqLine))
	if err != nil {
		t.Fatal(err)
	}
	if want := head + pqLine + strings.TrimPrefix(ed, head); string(cp.Signed) != want {
		t.Errorf("signed %q", cp.Signed)
	}
	// ML-DSA-44 signatures are randomized: a second one is another line, and only the first is kept.
	second := subtreeLine(t, pq, "example.com/log", "example.com/log", 0, 0, 3, w.log.Root(3), "")
	if cp, err := policy.OpenCheckpoint([]byte(head + pqLine + second)); err != nil || second == pqLine || string(cp.Signed) != head+pqLine {
		t.Errorf("two lines by one log key: %v", err)
	}
	for name, signed := range map[string]string{"Ed25519 alone": ed, "ML-DSA-44 alone": head + pqLine} {
		if _, err := policy.OpenCheckpoint([]byte(signed)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// An ML-DSA-44 signature does not cover extension lines, so anybody could add them.
	_, err = policy.OpenCheckpoint([]byte(w.text() + "added\n\n" + pqLine))
	wantError(t, "extension line added under ML-DSA-44", err, trust.ErrSignature)
	_, err = policy.OpenCheckpoint([]byte(ed + subtreeLine(t, pq, "example.com/log", "example.com/log", 0, 0, 2, w.log.Root(3), "")))
	wantError(t, "one of two fails", err, trust.ErrSignature)
}

// ENT-11, ENT-21
func TestSizeZeroHasTheEmptyRoot(t *testing.T) {
	log := trusttest.NewLog("example.com/log")
	policy := trusttest.Policy(log, nil, 0)
	cp, err := policy.OpenCheckpoint(log.Checkpoint())
	if err != nil || cp.Size != 0 || cp.Root.String() != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" {
		t.Errorf("empty log: %+v, %v", cp, err)
	}
	text := "example.com/log\n0\n" + trust.LeafHash(nil).String() + "\n"
	_, err = policy.OpenCheckpoint([]byte(text + "\n" + logLine(t, log, text)))
	wantError(t, "size 0 with another root", err, trust.ErrEmptyTree)
	if _, err := log.Signer.Sign("example.com/log", 0, trust.LeafHash(nil)); err == nil {
		t.Error("signed size 0 with another root")
	}
}

// ENT-23
func TestUnknownOriginIsToldApart(t *testing.T) {
	w := newWorld()
	stranger := trusttest.NewLog("example.org/stranger")
	_, err := w.policy(0).OpenLogSignature(stranger.Checkpoint())
	wantError(t, "another log", err, trust.ErrUnknownLog)
	if said := err.Error(); !strings.Contains(said, `"example.org/stranger", the policy has "example.com/log"`) {
		t.Errorf("it does not name both origins: %s", said)
	}
	// Our log's key under a text with another origin.
	text := strings.Replace(w.text(), "example.com/log", "example.com/log2", 1)
	_, err = w.policy(0).OpenLogSignature([]byte(text + "\n" + logLine(t, w.log, text)))
	wantError(t, "our key, another origin", err, trust.ErrUnknownLog)
	_, err = w.policy(0).OpenLogSignature([]byte("garbage"))
	wantError(t, "garbage", err, trust.ErrMalformed)
	_, err = w.policy(0).OpenLogSignature(nil)
	wantError(t, "nothing", err, trust.ErrMalformed)
}

// ENT-20
func TestACheckpointIsCutFromItsSignaturesAtTheLastEmptyLine(t *testing.T) {
	const text, lines = "log.example/1\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "— log.example/1 AAAA\n"
	cp, rest, err := trust.CutCheckpoint([]byte(text + "\n" + lines))
	if err != nil || string(cp.Text()) != text || string(rest) != lines {
		t.Errorf("%v, %q, %v", cp, rest, err)
	}
	for _, note := range []string{"", text, text + lines, text + "\n" + lines + "\n" + lines, "\n" + text + "\n" + lines} {
		if cp, _, err := trust.CutCheckpoint([]byte(note)); !errors.Is(err, trust.ErrMalformed) || cp != nil {
			t.Errorf("%q: %v, %v", note, cp, err)
		}
	}
}

func TestSignedButMalformedCheckpointIsRefused(t *testing.T) {
	w := newWorld()
	for _, text := range []string{"example.com/log\n", "example.com/log\n03\n" + w.log.Root(3).String() + "\n", "example.com/log\n3\n\n"} {
		_, err := w.policy(0).OpenLogSignature([]byte(text + "\n" + logLine(t, w.log, text)))
		wantError(t, text, err, trust.ErrMalformed)
	}
}

func TestTheZeroPolicyOpensNothing(t *testing.T) {
	w := newWorld()
	var zero trust.Policy
	_, err := zero.OpenCheckpoint(w.log.Checkpoint(w.w1))
	wantError(t, "zero policy", err, trust.ErrUnknownLog)
	if zero.Quorum(map[string]bool{"w1.example": true}) || zero.Quorum(nil) {
		t.Error("the zero policy has a quorum")
	}
}

func TestOpeningWhatWasOpenedChangesNothing(t *testing.T) {
	w := newWorld()
	policy := w.policy(3)
	cp, err := policy.OpenCheckpoint(append(w.log.Checkpoint(w.w3, w.w2, w.w1), logLine(t, trusttest.NewLog("x"), w.text())...))
	if err != nil {
		t.Fatal(err)
	}
	again, err := policy.OpenCheckpoint(cp.Signed)
	if err != nil || !bytes.Equal(again.Signed, cp.Signed) {
		t.Errorf("opened again: %v", err)
	}
	var lines []byte
	for _, c := range cp.Cosignatures {
		lines = append(lines, c.Line...)
	}
	if !bytes.HasSuffix(cp.Signed, lines) {
		t.Error("the note does not end in the cosignatures")
	}
}

func TestEveryFlippedByteOfACheckpointFails(t *testing.T) {
	w := newWorld()
	policy := trusttest.Policy(w.log, []*trusttest.Witness{w.w1, w.w3}, 2)
	signed := w.log.Checkpoint(w.w1, w.w3)
	if _, err := policy.OpenCheckpoint(signed); err != nil {
		t.Fatal(err)
	}
	for i := range signed {
		for _, flip := range []byte{0x01, 0x20, 0x80} {
			signed[i] ^= flip
			if _, err := policy.OpenCheckpoint(signed); err == nil {
				t.Errorf("byte %d ^ %#x: accepted", i, flip)
			}
			signed[i] ^= flip
		}
	}
}

// ENT-14
func TestCosignerKeysHaveTheSpecifiedIDs(t *testing.T) {
	w := newWorld()
	for _, witness := range w.witnesses {
		vkey := witness.Cosigner.VKey()
		// formats computes the ID from name, type and key on its own.
		verifier, err := formatsnote.NewVerifierForCosignatureV1(vkey)
		if err != nil {
			t.Fatal(err)
		}
		if verifier.KeyHash() != keyID(t, vkey) || verifier.Name() != witness.Cosigner.Name() {
			t.Errorf("%s: ID %08x, the other implementation says %08x", vkey[:30], keyID(t, vkey), verifier.KeyHash())
		}
	}
}

// ENT-28
func TestCosignatureOfAnotherLengthIsIgnored(t *testing.T) {
	w := newWorld()
	policy := w.policy(1)
	signed := w.log.Checkpoint()
	for _, witness := range w.witnesses[:2] {
		blob, err := base64.StdEncoding.DecodeString(strings.Fields(string(witness.Cosign(signed)))[2])
		if err != nil {
			t.Fatal(err)
		}
		sig := blob[4:]
		if want := map[trust.Algorithm]int{trust.Ed25519Cosigner: 8 + 64, trust.MLDSA44Cosigner: 8 + 2420}[witness.Cosigner.Algorithm()]; len(sig) != want {
			t.Errorf("%s: signature of %d bytes, want %d", witness.Cosigner.Name(), len(sig), want)
		}
		id := keyID(t, witness.SecretKey)
		for name, other := range map[string][]byte{
			"a byte more": append(bytes.Clone(sig), 0), "a byte less": sig[:len(sig)-1],
			"no timestamp": sig[8:], "timestamp alone": sig[:8], "seven bytes": sig[:7], "one byte": sig[:1],
		} {
			_, err := policy.OpenCheckpoint(append(bytes.Clone(signed), sigLine(witness.Cosigner.Name(), id, other)...))
			wantError(t, name, err, trust.ErrQuorum)
		}
		if _, err := policy.OpenCheckpoint(append(bytes.Clone(signed), sigLine(witness.Cosigner.Name(), id, sig)...)); err != nil {
			t.Error(err)
		}
	}
}

// ENT-28, ENT-33
func TestTimestampsAreBoundedReportedAndNotJudged(t *testing.T) {
	w := newWorld()
	policy := w.policy(1)
	root := w.log.Root(3)
	for timestamp, good := range map[uint64]bool{
		0: false, 1: true, 1767323045: true, 32503680000: true, math.MaxInt64: true, math.MaxInt64 + 1: false, math.MaxUint64: false,
	} {
		for _, line := range []string{
			cosignLine(t, w.w1, w.text(), timestamp),
			subtreeLine(t, w.w2, "w2.example", "example.com/log", timestamp, 0, 3, root, ""),
		} {
			cp, err := policy.OpenCheckpoint(append(w.log.Checkpoint(), line...))
			if (err == nil) != good {
				t.Errorf("timestamp %d: %v", timestamp, err)
			}
			if err == nil && cp.Cosignatures[0].Time.Unix() != int64(timestamp) {
				t.Errorf("timestamp %d reported as %v", timestamp, cp.Cosignatures[0].Time)
			}
		}
	}
	for _, witness := range w.witnesses {
		for _, at := range []time.Time{{}, time.Unix(0, 0), time.Unix(-1, 0)} {
			cp, err := trust.ParseCheckpointText([]byte(w.text()))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := witness.Cosigner.Cosign(cp, at); err == nil {
				t.Errorf("cosigned at %v", at)
			}
		}
	}
}

// ENT-29
func TestEd25519CosignatureCoversTimeAndTheWholeText(t *testing.T) {
	w := newWorld()
	if got, want := string(w.w1.Cosign(w.log.Checkpoint())), cosignLine(t, w.w1, w.text(), uint64(trusttest.Time.Unix())); got != want {
		t.Errorf("cosignature %q, want %q", got, want)
	}
	verifier, err := formatsnote.NewVerifierForCosignatureV1(w.w1.Cosigner.VKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(w.log.Checkpoint(w.w1), note.VerifierList(verifier)); err != nil {
		t.Errorf("the other implementation: %v", err)
	}
	withExtension := w.text() + "extension\n"
	signed := []byte(withExtension + "\n" + logLine(t, w.log, withExtension) + cosignLine(t, w.w1, w.text(), 5))
	_, err = w.policy(1).OpenCheckpoint(signed)
	wantError(t, "cosignature of the text without its extension line", err, trust.ErrQuorum)
}

// ENT-30
func TestMLDSACosignatureIsTheSpecifiedStructure(t *testing.T) {
	w := newWorld()
	policy := w.policy(1)
	root := w.log.Root(3)
	signed := string(w.log.Checkpoint())
	const at = 1767323045
	good := subtreeLine(t, w.w2, "w2.example", "example.com/log", at, 0, 3, root, "")
	if cp, err := policy.OpenCheckpoint([]byte(signed + good)); err != nil || cosigners(cp) != "w2.example" {
		t.Errorf("structure made by hand: %v", err)
	}
	for name, line := range map[string]string{
		"another cosigner":   subtreeLine(t, w.w2, "w4.example", "example.com/log", at, 0, 3, root, ""),
		"another origin":     subtreeLine(t, w.w2, "w2.example", "example.com/log2", at, 0, 3, root, ""),
		"another size":       subtreeLine(t, w.w2, "w2.example", "example.com/log", at, 0, 2, root, ""),
		"another root":       subtreeLine(t, w.w2, "w2.example", "example.com/log", at, 0, 3, w.log.Root(2), ""),
		"a context":          subtreeLine(t, w.w2, "w2.example", "example.com/log", at, 0, 3, root, "x"),
		"a bit of signature": good[:len(good)-100] + string(good[len(good)-100]^1) + good[len(good)-99:],
	} {
		_, err := policy.OpenCheckpoint([]byte(signed + line))
		if err == nil || errors.Is(err, trust.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Both ways with the other implementation.
	verifier, err := formatsnote.NewMLDSAVerifier(w.w2.Cosigner.VKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(w.log.Checkpoint(w.w2), note.VerifierList(verifier)); err != nil {
		t.Errorf("the other implementation refuses ours: %v", err)
	}
	signer, err := formatsnote.NewMLDSASigner(w.w2.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := note.Sign(&note.Note{Text: w.text()}, w.log.Signer.NoteSigner(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.OpenCheckpoint(theirs); err != nil {
		t.Errorf("we refuse the other implementation's: %v", err)
	}
}

// ENT-15, ENT-30
func TestNamesOver255BytesAreNotSignedWithMLDSA(t *testing.T) {
	long := strings.Repeat("n", 256)
	if _, _, err := trust.GenerateKey(nil, long, trust.MLDSA44Cosigner); err == nil {
		t.Error("key with a name of 256 bytes made")
	}
	w := newWorld()
	for _, n := range []int{1, 2, 255} {
		witness := trusttest.NewWitness(long[:n], trust.MLDSA44Cosigner)
		cp, err := trusttest.Policy(w.log, []*trusttest.Witness{witness}, 1).OpenCheckpoint(w.log.Checkpoint(witness))
		if err != nil || cosigners(cp) != long[:n] {
			t.Errorf("name of %d bytes: %v", n, err)
		}
	}
	for _, n := range []int{1, 2, 255, 256} {
		cp := &trust.Checkpoint{Origin: long[:n], Size: 3, Root: w.log.Root(3)}
		if _, err := w.w2.Cosigner.Cosign(cp, trusttest.Time); (err == nil) != (n <= 255) {
			t.Errorf("origin of %d bytes: %v", n, err)
		}
		if _, err := w.w1.Cosigner.Cosign(cp, trusttest.Time); err != nil {
			t.Errorf("Ed25519, origin of %d bytes: %v", n, err)
		}
	}
}

// ENT-30
func TestCosignatureOfASubtreeIsNoneOfTheCheckpoint(t *testing.T) {
	w := newWorld()
	for _, line := range []string{
		subtreeLine(t, w.w2, "w2.example", "example.com/log", 0, 1, 3, w.log.Root(3), ""),
		subtreeLine(t, w.w2, "w2.example", "example.com/log", 5, 1, 3, w.log.Root(3), ""),
		subtreeLine(t, w.w2, "w2.example", "example.com/log", 0, 0, 3, w.log.Root(3), ""), // consistent, but not the largest
	} {
		_, err := w.policy(1).OpenCheckpoint(append(w.log.Checkpoint(), line...))
		wantError(t, "subtree", err, trust.ErrQuorum)
	}
}

// What it may cosign after what, package witness knows. The signer refuses what no log can have signed.
//
// ENT-20
func TestCosignerRefusesWhatIsNoCheckpoint(t *testing.T) {
	w := newWorld()
	root := w.log.Root(3)
	for name, cp := range map[string]trust.Checkpoint{
		"zero":                      {},
		"negative size":             {Origin: "o", Size: -1, Root: root},
		"size 0 with a root":        {Origin: "o", Size: 0, Root: root},
		"newline in the origin":     {Origin: "o\n3", Size: 3, Root: root},
		"newline in the extension":  {Origin: "o", Size: 3, Root: root, Extensions: []string{"a\n\nb"}},
		"empty extension":           {Origin: "o", Size: 3, Root: root, Extensions: []string{""}},
		"control in the origin":     {Origin: "o\x00", Size: 3, Root: root},
		"origin that is not UTF-8":  {Origin: "o\xff", Size: 3, Root: root},
		"carriage return extension": {Origin: "o", Size: 3, Root: root, Extensions: []string{"a\r"}},
	} {
		for _, witness := range w.witnesses[:2] {
			if _, err := witness.Cosigner.Cosign(&cp, trusttest.Time); err == nil {
				t.Errorf("%s cosigned", name)
			}
		}
	}
}

// ENT-27
func TestMLDSACosignatureDoesNotCoverExtensionLines(t *testing.T) {
	w := newWorld()
	text := w.text() + "an extension line\n"
	line := string(w.w2.Cosign(w.log.Checkpoint())) // made without the extension line
	cp, err := w.policy(1).OpenCheckpoint([]byte(text + "\n" + logLine(t, w.log, text) + line))
	if err != nil || cosigners(cp) != "w2.example" {
		t.Errorf("the documented behaviour has changed: %v", err)
	}
}

func TestVerifyCosignaturesTakesTheAnswerOfAWitness(t *testing.T) {
	w := newWorld()
	policy := w.policy(3)
	signed := w.log.Checkpoint()
	cp, err := policy.OpenLogSignature(signed)
	if err != nil {
		t.Fatal(err)
	}
	stranger := trusttest.NewWitness("w9.example", trust.Ed25519Cosigner)
	answer := bytes.Join([][]byte{w.w3.Cosign(signed), stranger.Cosign(signed), w.w2.Cosign(signed), w.w3.Cosign(signed)}, nil)
	found, err := policy.VerifyCosignatures(cp, answer)
	if err != nil || len(found) != 2 || found[0].Witness != "w2.example" || found[1].Witness != "w3.example" {
		t.Errorf("%v, %v", found, err)
	}
	for _, none := range []string{
		string(stranger.Cosign(signed)),
		cosignLine(t, w.w1, "example.com/log\n4\n"+w.log.Root(3).String()+"\n", 5),
		cosignLine(t, w.w1, w.text(), 0),
		logLine(t, w.log, w.text()),
	} {
		if found, err := policy.VerifyCosignatures(cp, []byte(none)); err != nil || len(found) != 0 {
			t.Errorf("%q: %v, %v", none, found, err)
		}
	}
	if found, err := policy.VerifyCosignatures(nil, answer); err == nil || found != nil {
		t.Errorf("over no checkpoint: %v, %v", found, err)
	}
	good := string(w.w1.Cosign(signed))
	for _, bad := range []string{"", "\n", "hello\n", good + "\n", strings.TrimSuffix(good, "\n"), "\n" + good, good + "x", strings.Repeat(good, 65), strings.Replace(good, "\n", "\r\n", 1)} {
		_, err := policy.VerifyCosignatures(cp, []byte(bad))
		wantError(t, bad, err, trust.ErrMalformed)
	}
}

func FuzzParseCheckpointText(f *testing.F) {
	w := newWorld()
	f.Add([]byte(w.text()))
	f.Add([]byte(w.text() + "extension\nanother\n"))
	f.Add([]byte("o\n0\n" + trust.EmptyRoot.String() + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		cp, err := trust.ParseCheckpointText(text)
		if err == nil && !bytes.Equal(cp.Text(), text) {
			t.Errorf("written again: %q", cp.Text())
		}
		if err != nil && !errors.Is(err, trust.ErrMalformed) && !errors.Is(err, trust.ErrEmptyTree) {
			t.Errorf("error of another kind: %v", err)
		}
	})
}

// FuzzOpenCheckpoint: whatever is put into a note, it never says more than was signed.
func FuzzOpenCheckpoint(f *testing.F) {
	w := newWorld()
	policy := w.policy(2)
	f.Add(w.log.Checkpoint(w.w1, w.w2, w.w3))
	f.Add(w.log.Checkpoint(w.w1))
	f.Add(append(w.log.Checkpoint(w.w1, w.w3), logLine(f, trusttest.NewLog("x"), w.text())...))
	f.Fuzz(func(t *testing.T, signed []byte) {
		cp, err := policy.OpenCheckpoint(signed)
		if err != nil {
			return
		}
		if string(cp.Text()) != w.text() {
			t.Errorf("opened a text that was never signed: %q", cp.Text())
		}
		again, err := policy.OpenCheckpoint(cp.Signed)
		if err != nil || !bytes.Equal(again.Signed, cp.Signed) {
			t.Errorf("opened again: %v", err)
		}
	})
}

func BenchmarkOpenCheckpointThreeOfThree(b *testing.B) {
	w := newWorld()
	policy := w.policy(3)
	signed := w.log.Checkpoint(w.witnesses...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := policy.OpenCheckpoint(signed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCosign(b *testing.B) {
	w := newWorld()
	cp, err := trust.ParseCheckpointText([]byte(w.text()))
	if err != nil {
		b.Fatal(err)
	}
	for _, witness := range w.witnesses[:2] {
		b.Run(witness.Cosigner.Algorithm().String(), func(b *testing.B) {
			for b.Loop() {
				if _, err := witness.Cosigner.Cosign(cp, trusttest.Time); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Whoever has the wrong policy sees from the error which logs it is for, and no more of them than fit a line.
func TestACheckpointOfAnUnknownLogNamesSomeThatAreKnown(t *testing.T) {
	w := newWorld()
	note := []byte(w.text() + "\n" + logLine(t, w.log, w.text()))
	for n, want := range map[int]string{
		0: "the policy has no log",
		1: `the policy has "log1.example"`,
		3: `the policy has "log1.example", "log2.example", "log3.example"`,
		5: `the policy has "log1.example", "log2.example", "log3.example", and 2 more`,
	} {
		var logs []trust.PolicyLog
		for i := range n {
			origin := fmt.Sprintf("log%d.example", i+1)
			_, vkey, err := trust.GenerateKey(nil, origin, trust.Ed25519)
			if err != nil {
				t.Fatal(err)
			}
			logs = append(logs, trust.PolicyLog{Origin: origin, VKey: vkey})
		}
		policy, err := trust.ParsePolicy(trust.FormatPolicy(logs, nil, 0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policy.OpenCheckpoint(note); !errors.Is(err, trust.ErrUnknownLog) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%d logs: %v, want %s", n, err, want)
		}
	}
}
