package pack

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// anchor decides the channel that says whether the manifest stands in a log the relying
// party trusts (ledger.md §10). Without a policy nobody is trusted: SKIPPED.
func (v *verifier) anchor() {
	text, err := v.o.Proof, error(nil)
	if text == nil {
		text, err = v.read(manifest.ProofName, maxProof)
	}
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case v.o.Policy == nil && missing:
	case v.o.Policy == nil:
		v.r.Anchor.Unchecked = true
		v.warned.Of(manifest.ChannelAnchor).Add(manifest.WarnAnchor, manifest.ProofName, "the proof was not checked: no policy says which logs are trusted")
	case missing:
		v.r.Anchor.NoProof = true
		v.warned.Of(manifest.ChannelAnchor).Add(manifest.WarnAnchor, manifest.ProofName, "there is no proof that the pack is logged")
	case err == nil && len(text) > maxProof:
		v.failAnchor(fmt.Errorf("the proof %w: at most %d bytes", errTooLarge, maxProof))
	case err != nil:
		v.failAnchor(fmt.Errorf("reading the proof: %w", err))
	case v.m == nil:
		v.failAnchor(errors.New("there is no manifest to look up"))
	default:
		v.checkAnchor(text)
	}
}

func (v *verifier) failAnchor(err error) {
	v.r.Anchor.Verdict = Fail
	v.found.Of(manifest.ChannelAnchor).Add(manifest.CodeAnchorInvalid, manifest.ProofName, "%s", form.OneLine(err))
}

func (v *verifier) checkAnchor(text []byte) {
	proof, err := trust.ParseProof(text)
	if err != nil {
		v.failAnchor(err)
		return
	}
	e, err := entry.Parse(proof.Extra)
	if err != nil {
		v.failAnchor(fmt.Errorf("extra line: %w", err))
		return
	}
	if err := e.Describes(v.m); err != nil {
		v.failAnchor(err)
		return
	}
	checkpoint, err := v.o.Policy.CheckProof(proof, proof.Extra)
	if err != nil {
		v.failAnchor(err)
		return
	}
	v.r.Anchor.Verdict, v.r.Anchor.Checkpoint = Pass, checkpoint
	v.r.Anchor.Entry = &entry.Logged{Index: proof.Index, Leaf: proof.Extra, Entry: e}
	v.checkTime(e)
}

// checkTime judges when the log had the entry, if roots ask for that. A time that does not hold fails the
// anchor, and takes nothing from what the log proves.
func (v *verifier) checkTime(e entry.Entry) {
	switch {
	case v.o.TSARoots == nil:
		return
	case e.TimestampToken == nil && v.o.TimeOptional:
		v.warned.Of(manifest.ChannelAnchor).Add(manifest.WarnNoTimestamp, tokenField, "the entry has no timestamp token: its time is the ledger's word")
		return
	}
	token, err := v.checkToken(e)
	if err != nil {
		v.r.Anchor.Verdict, v.r.Anchor.Timed = Fail, Fail
		v.found.Of(manifest.ChannelAnchor).Add(manifest.CodeAnchorInvalid, tokenField, "%s", form.OneLine(err))
		return
	}
	v.r.Anchor.Timed, v.r.Anchor.Time = Pass, token
}

// checkToken verifies the entry's RFC 3161 token, and compares its time with the pack's own.
func (v *verifier) checkToken(e entry.Entry) (*timestamp.Token, error) {
	if e.TimestampToken == nil {
		return nil, errors.New("the entry has no timestamp token, and a time was asked for")
	}
	o := timestamp.Options{Roots: v.o.TSARoots}
	if !v.o.Now.IsZero() {
		o.NotAfter = v.o.Now.Add(maxTokenAhead)
	}
	token, err := timestamp.Verify(e.TimestampToken, e.ManifestSHA256, o)
	if err != nil {
		return nil, err
	}
	switch text, fails := e.Contradiction(token.Time, token.By()); {
	case fails:
		return nil, errors.New(text)
	case text != "":
		v.r.Anchor.TimeContradicts = true
		v.warned.Of(manifest.ChannelAnchor).Add(manifest.WarnTime, tokenField, "%s: one of the two clocks is wrong", text)
	}
	return token, nil
}

// maxTokenAhead is how far a timestamp may be ahead of the relying party's clock.
const maxTokenAhead = 5 * time.Minute

// tokenField is what a finding about the time names; the log is another fact.
const tokenField = "timestamp_token"
