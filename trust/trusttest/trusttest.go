// Package trusttest has a log and witnesses in memory, with fixed keys, for tests
// (as net/http/httptest is for http).
//
//	log := trusttest.NewLog("example.com/log")
//	w1 := trusttest.NewWitness("w1", trust.MLDSA44Cosigner)
//	policy := trusttest.Policy(log, []*trusttest.Witness{w1}, 1)
//	i := log.Append([]byte("leaf"))
//	cp, err := policy.CheckProof(log.Prove(i, w1), []byte("leaf"))
//
// A secret key is made of the log's origin or the witness's name, so everybody knows it. The log
// and the witnesses sign whatever they are told to. A call that makes no sense panics.
package trusttest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
	"golang.org/x/mod/sumdb/tlog"
)

// Time is when witnesses cosign unless told otherwise.
var Time = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Log is a transparency log in memory. It is safe for concurrent use.
type Log struct {
	SecretKey string // "PRIVATE+KEY+…"
	Signer    *trust.LogSigner

	mu     sync.Mutex
	leaves [][]byte
	hashes hashReader // as tlog stores them
}

// NewLog returns an empty log with a key that depends on origin alone.
func NewLog(origin string) *Log {
	skey := secretKey(origin, trust.Ed25519)
	signer, err := trust.NewLogSigner(skey)
	must(err)
	return &Log{SecretKey: skey, Signer: signer}
}

// Append adds a leaf and returns its index.
func (l *Log) Append(leaf []byte) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	index := int64(len(l.leaves))
	hashes, err := tlog.StoredHashes(index, leaf, l.hashes)
	must(err)
	l.hashes = append(l.hashes, hashes...)
	l.leaves = append(l.leaves, bytes.Clone(leaf))
	return index
}

func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.leaves))
}

func (l *Log) Leaf(index int64) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.leaves[index])
}

// Root returns the root hash of the first size leaves.
func (l *Log) Root(size int64) tlog.Hash {
	l.mu.Lock()
	defer l.mu.Unlock()
	root, err := tlog.TreeHash(size, l.hashes)
	must(err)
	return root
}

// Checkpoint returns the signed checkpoint of the whole log, cosigned by the witnesses.
func (l *Log) Checkpoint(witnesses ...*Witness) []byte {
	return l.CheckpointAt(l.Size(), witnesses...)
}

// CheckpointAt is Checkpoint when the log had size leaves.
func (l *Log) CheckpointAt(size int64, witnesses ...*Witness) []byte {
	signed, err := l.Signer.Sign(l.Signer.Origin(), size, l.Root(size))
	must(err)
	text := signed
	for _, w := range witnesses {
		signed = append(bytes.Clone(signed), w.Cosign(text)...)
	}
	return signed
}

// Prove returns the proof of a leaf against Checkpoint(witnesses...), without extra.
func (l *Log) Prove(index int64, witnesses ...*Witness) *trust.Proof {
	return l.ProveAt(index, l.Size(), witnesses...)
}

// ProveAt is Prove when the log had size leaves.
func (l *Log) ProveAt(index, size int64, witnesses ...*Witness) *trust.Proof {
	checkpoint := l.CheckpointAt(size, witnesses...)
	l.mu.Lock()
	defer l.mu.Unlock()
	hashes, err := tlog.ProveRecord(size, index, l.hashes)
	must(err)
	return &trust.Proof{Index: index, Hashes: hashes, Checkpoint: checkpoint}
}

// Consistency returns the consistency proof from size old to size new.
func (l *Log) Consistency(old, new int64) []tlog.Hash {
	if old == 0 || old == new {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	proof, err := tlog.ProveTree(new, old, l.hashes)
	must(err)
	return proof
}

// Fork returns a log with the same key and the first at leaves. What is appended to one of the two
// is not in the other.
func (l *Log) Fork(at int64) *Log {
	fork := NewLog(l.Signer.Origin())
	for i := range at {
		fork.Append(l.Leaf(i))
	}
	return fork
}

// Witness cosigns everything. It is safe for concurrent use while its fields are not changed.
type Witness struct {
	SecretKey string // "PRIVATE+KEY+…"
	Cosigner  *trust.Cosigner
	URL       string    // for Policy; may be empty
	Time      time.Time // of its cosignatures
}

// NewWitness returns a witness whose key depends on name and alg alone. The name is its key name and
// its name in Policy.
func NewWitness(name string, alg trust.Algorithm) *Witness {
	skey := secretKey(name, alg)
	cosigner, err := trust.NewCosigner(skey)
	must(err)
	return &Witness{SecretKey: skey, Cosigner: cosigner, Time: Time}
}

// Cosign returns the signature line of w over the text of a signed checkpoint, whoever signed it.
func (w *Witness) Cosign(signed []byte) []byte {
	end := bytes.LastIndex(signed, []byte("\n\n"))
	if end < 0 {
		panic("trusttest: not a signed checkpoint")
	}
	cp, err := trust.ParseCheckpointText(signed[:end+1])
	must(err)
	line, err := w.Cosigner.Cosign(cp, w.Time)
	must(err)
	return line
}

// Policy trusts log, and asks for cosignatures by k of the witnesses; 0 is "quorum none".
func Policy(log *Log, witnesses []*Witness, k int) *trust.Policy {
	logs := []trust.PolicyLog{{VKey: log.Signer.VKey()}}
	var lines []trust.PolicyWitness
	for _, w := range witnesses {
		lines = append(lines, trust.PolicyWitness{Name: w.Cosigner.Name(), VKey: w.Cosigner.VKey(), URL: w.URL})
	}
	policy, err := trust.ParsePolicy(trust.FormatPolicy(logs, lines, k))
	must(err)
	return policy
}

func secretKey(name string, alg trust.Algorithm) string {
	seed := sha256.Sum256(fmt.Appendf(nil, "trusttest: anybody can make this key: %02x %s", byte(alg), name))
	skey, _, err := trust.GenerateKey(bytes.NewReader(seed[:]), name, alg)
	must(err)
	return skey
}

type hashReader []tlog.Hash

func (r hashReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index < 0 || index >= int64(len(r)) {
			return nil, fmt.Errorf("no stored hash %d", index)
		}
		hashes[i] = r[index]
	}
	return hashes, nil
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("trusttest: %v", err))
	}
}
