// Package sitetest makes logs for tests and benchmarks of sites: real tiles, checkpoints and cosignatures over entries
// that no ledger admitted, in memory and the same each time.
package sitetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Origin of every log made here.
const Origin = "ledger.example/2026"

// Began is the time of the first entry; each further one is a second later.
var Began = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

// Log is a log in memory: a Source of package site. Its fields may be changed, to make of it what an attacker would.
type Log struct {
	Leaves   [][]byte
	Stored   []tlog.Hash // of the whole tree, as tlog.StoredHashIndex has them
	Note     []byte      // the published checkpoint; nil: nothing is published
	Notes    [][]byte    // every one that was published
	RootsPEM []byte

	kept      int // leaves under the last of Notes
	vkey      string
	policy    *trust.Policy
	signer    *trust.LogSigner
	cosigners []*trust.Cosigner
}

// New makes an empty log with two witnesses, both of which must cosign. Logs of one name have the same keys.
func New(name string) (*Log, error) {
	l := &Log{}
	skey, vkey, err := trust.GenerateKey(seed(name), Origin, trust.Ed25519)
	if err != nil {
		return nil, err
	}
	if l.signer, err = trust.NewLogSigner(skey); err != nil {
		return nil, err
	}
	l.vkey = vkey
	return l, l.Rotate(name)
}

// Rotate makes two other witnesses those of the log: their keys are made of the name.
func (l *Log) Rotate(name string) error {
	var witnesses []trust.PolicyWitness
	l.cosigners = nil
	for _, w := range []string{"w1", "w2"} {
		skey, vkey, err := trust.GenerateKey(seed(name+w), w+".example", trust.Ed25519Cosigner)
		if err != nil {
			return err
		}
		c, err := trust.NewCosigner(skey)
		if err != nil {
			return err
		}
		l.cosigners = append(l.cosigners, c)
		witnesses = append(witnesses, trust.PolicyWitness{Name: w, VKey: vkey})
	}
	var err error
	l.policy, err = trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{Origin: Origin, VKey: l.vkey}}, witnesses, 2))
	return err
}

// seed is a key's only secret here: its name.
func seed(name string) *bytes.Reader {
	sum := sha256.Sum256([]byte(name))
	return bytes.NewReader(sum[:])
}

// Entry is the i-th of many entries: of 20 signers and 7 repositories, some of them honest failures.
func Entry(i int64) entry.Entry {
	digest := func(what string, n int64) trust.Digest { return sha256.Sum256(fmt.Appendf(nil, "%s %d", what, n)) }
	e := entry.Entry{
		ManifestSHA256: digest("manifest", i), PackRootSHA256: digest("root", i),
		PackID: fmt.Sprintf("pack_%06d", i), ReceiptIntegrity: "PASS", AssuranceLevel: "L0", ClaimCheck: manifest.ClaimCheck("PASS"),
		Mode: "shadow", NReceipts: 1 + i%50,
		TimestampStart: "2026-01-15T09:00:00.000000+00:00", TimestampEnd: "2026-01-15T09:30:00.000000+00:00", VerifierVersion: "1.0.0",
		SignerID: fmt.Sprintf("signer-%d", i*i%20), SignerKeySHA256: digest("signer", i*i%20),
		WitnessStatus: "signature_verified", SubmittedAt: Began.Add(time.Duration(i) * time.Second),
	}
	if i%3 != 0 {
		e.Source = entry.Source{Repo: fmt.Sprintf("owner/name-%d", i%7), Attestation: "self"}
	}
	if i%11 == 5 {
		e.ClaimCheck = "FAIL"
	}
	return e
}

// Add appends a leaf.
func (l *Log) Add(leaf []byte) error {
	hashes, err := tlog.StoredHashes(int64(len(l.Leaves)), leaf, l)
	l.Leaves, l.Stored = append(l.Leaves, leaf), append(l.Stored, hashes...)
	return err
}

// Grow appends entries of Entry until the log has so many.
func (l *Log) Grow(size int64) error {
	for i := int64(len(l.Leaves)); i < size; i++ {
		if err := l.Add(Entry(i).Leaf()); err != nil {
			return err
		}
	}
	return nil
}

// ReadHashes makes a Log a tlog.HashReader.
func (l *Log) ReadHashes(indexes []int64) (list []tlog.Hash, err error) {
	for _, i := range indexes {
		if i >= int64(len(l.Stored)) {
			return nil, fs.ErrNotExist
		}
		list = append(list, l.Stored[i])
	}
	return list, nil
}

// Publish signs and cosigns what the log holds, and adds it to the history, which has a tree once.
func (l *Log) Publish(at time.Time) error {
	note, err := l.Sign(int64(len(l.Leaves)), at)
	if l.Note = note; len(l.Notes) == 0 || l.kept != len(l.Leaves) {
		l.Notes, l.kept = append(l.Notes, note), len(l.Leaves)
	}
	return err
}

// Sign makes the checkpoint of a size.
func (l *Log) Sign(size int64, at time.Time) ([]byte, error) {
	root := trust.EmptyRoot
	if size > 0 {
		var err error
		if root, err = tlog.TreeHash(size, l); err != nil {
			return nil, err
		}
	}
	return l.SignTree(size, root, at)
}

// SignTree signs whatever root it is given.
func (l *Log) SignTree(size int64, root tlog.Hash, at time.Time) ([]byte, error) {
	note, err := l.signer.Sign(Origin, size, root)
	if err != nil {
		return nil, err
	}
	cp, err := l.policy.OpenLogSignature(note)
	if err != nil {
		return nil, err
	}
	note = slices.Clone(note)
	for _, c := range l.cosigners {
		line, err := c.Cosign(cp, at)
		if err != nil {
			return nil, err
		}
		note = append(note, line...)
	}
	return note, nil
}

// Policy names the log and its witnesses.
func (l *Log) Policy(context.Context) ([]byte, error) { return l.policy.Text(), nil }

// Roots are RootsPEM.
func (l *Log) Roots(context.Context) ([]byte, error) {
	if l.RootsPEM == nil {
		return nil, fs.ErrNotExist
	}
	return l.RootsPEM, nil
}

// Checkpoint is Note.
func (l *Log) Checkpoint(context.Context) ([]byte, error) {
	if l.Note == nil {
		return nil, fs.ErrNotExist
	}
	return l.Note, nil
}

// Tile is made of Leaves and Stored.
func (l *Log) Tile(_ context.Context, path string) ([]byte, error) {
	t, ok := tiles.ParsePath(path)
	if !ok || !tiles.Within(t, int64(len(l.Leaves))) {
		return nil, fs.ErrNotExist
	}
	if t.L >= 0 {
		return tlog.ReadTileData(t, l)
	}
	var data []byte
	start, end := tiles.Span(t)
	for _, leaf := range l.Leaves[start:end] {
		data = tiles.AppendEntry(data, leaf)
	}
	return data, nil
}

// Checkpoints yields Notes.
func (l *Log) Checkpoints(_ context.Context, start int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if start > int64(len(l.Notes)) {
			yield(nil, fs.ErrNotExist)
			return
		}
		for _, note := range l.Notes[start:] {
			if !yield(note, nil) {
				return
			}
		}
	}
}
