package pack

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// definition is the claims that claim_set_hash stands for, and their evaluation.
type definition struct {
	cards  []claim.Card
	claims []claim.Claim // of the cards, in the spelling of the hash
	run    *claim.Run
}

// newDefinition is the claims of cards as the hash spells them (claim.Claim.Canonical).
func newDefinition(cards []claim.Card) *definition {
	d := &definition{cards: cards}
	for _, c := range claim.InOrder(cards) {
		d.claims = append(d.claims, c.Canonical())
	}
	d.run = claim.NewRun(d.claims)
	return d
}

// claimRun is what the receipts are to be shown to, nil if nothing.
func (d *definition) claimRun() *claim.Run {
	if d == nil {
		return nil
	}
	return d.run
}

// define finds the definitions whose hash is the attested claim_set_hash (verify.md §10.1).
// The manifest holds only the hash, so wherever they come from, they are the signer's or none.
func (v *verifier) define() *definition {
	a := v.m.Attestation
	if a.ClaimCheck == manifest.ClaimsNone && a.ClaimSetHash == form.HexSum([]byte(a.ClaimSetID)) {
		return nil // pack.md §5: how a pack without claims says so
	}
	// What the relying party knows goes before what travels with the pack: cards of one hash may
	// still spell a number as 1 and 1.0, which is text of the results.
	var locked []claim.Card
	if v.o.Lock != nil {
		locked = v.o.Lock.Cards()
	}
	sidecar := v.sidecar()
	cards := claim.FindCards(a.ClaimSetHash, v.o.Cards, locked, sidecar, v.report.results)
	if cards == nil {
		if len(sidecar) > 0 {
			v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnSidecar, manifest.CardsName, "%s does not hold the claims of claim_set_hash", manifest.CardsName)
		}
		return nil
	}
	return newDefinition(cards)
}

// sidecar reads _unsigned/run_cards.json. Nothing signed covers it, but what does not
// hash to claim_set_hash is not used.
func (v *verifier) sidecar() []claim.Card {
	text, err := v.read(manifest.CardsName, form.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var cards []claim.Card
	if err == nil {
		cards, err = claim.ParseCards(text)
	}
	if err != nil {
		v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnSidecar, manifest.CardsName, "%s is ignored: %s", manifest.CardsName, form.OneLine(err))
	}
	return cards
}

// reexecute compares what is attested of the claims with what the receipts say now. An
// attested verdict is only ever compared, never believed (verify.md §10).
func (v *verifier) reexecute() {
	if v.claims == nil || v.claims.run == nil {
		return
	}
	run := v.claims.run
	results := run.Results()
	run.InWordsOf(v.report.results, results)
	again := v.signersWord(results)
	literal, differs := run.ReferenceResults(results)
	run.InWordsOf(v.report.results, literal)
	switch problem := v.contradiction(results); {
	case problem == "":
		v.checkEvidence(results)
	case differs && v.contradiction(literal) == "":
		v.checkEvidence(literal)
		// The reference builds such packs honestly: to it a breakglass receipt by its admitted name is
		// any receipt. That is no tampering, but the claim has failed if it fails in either reading.
		v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnBreakglass, "claim_check", "the builder did not take %s receipts for %s receipts: the claims were judged anew", receipt.BreakglassType, receipt.Breakglass)
		if claim.Holds(results) {
			results = literal
		}
	default:
		v.found.At(manifest.StageClaims).Add(manifest.CodeManifestTamper, problem, "the claims give %s, and other results than those attested, which is %s", claimCheck(results), v.m.Attestation.ClaimCheck)
	}
	v.r.Claims.Results, v.r.Claims.Reexecuted, v.r.Claims.Cards = results, again, v.claims.cards
	v.nameSources(v.claims.cards)
}

// signersWord replaces the results that cannot be found again here by those of the report, and reports
// whether there were none.
func (v *verifier) signersWord(results []claim.Result) (again bool) {
	again = true
	for i, c := range v.claims.claims {
		if i >= len(v.report.results) || v.report.results[i].ClaimID != c.ID {
			continue
		}
		told := v.report.results[i]
		_, known := claim.PredicateNamed(c.Check)
		switch {
		case c.Check == claim.CoverageCheck:
			again = v.coverageClaim(&results[i], told) && again
		case !known && told.Actual != claim.UnknownCheck:
			// The check may be one of a later release: nobody has to have lied.
			v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnNotReexecuted, c.ID, "claim %s asks for a check that is not known here: its result is the signer's word", form.Quote(c.ID))
			results[i], again = told, false
		case c.ReadsProjected() && !claim.SameOutcome(results[i], told):
			// The reference asks its claims before it drops what is not packed (RCP-14).
			v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnNotReexecuted, c.ID, "claim %s reads a member that no pack holds: its result is the signer's word", form.Quote(c.ID))
			results[i], again = told, false
		case known && told.Actual == claim.UnknownCheck && !told.Passed:
			// So the reference builds packs with checks of ours, and its older releases those with checks that
			// came later: a claim that it cannot ask has failed.
			v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnNotReexecuted, c.ID, "the builder did not know the check of claim %s, which failed there", form.Quote(c.ID))
			results[i], again = told, false
		}
	}
	return again
}

// claimCheck is what a builder attests of results.
func claimCheck(results []claim.Result) manifest.ClaimCheck { // CLM-15
	switch {
	case len(results) == 0:
		return manifest.ClaimsNone
	case claim.Holds(results):
		return manifest.ClaimsPass
	}
	return manifest.ClaimsFail
}

// contradiction names the attested value that the results belie, "" if they agree.
func (v *verifier) contradiction(results []claim.Result) string {
	a := v.m.Attestation
	switch {
	case claimCheck(results) != a.ClaimCheck:
		return "claim_check"
	case fingerprint(a, results) != a.DiscrepancyFingerprint:
		return "discrepancy_fingerprint"
	}
	return ""
}

// coverageClaim judges a claim of the one check that reads a file of the builder's directory, which is
// not in the pack. With the relying party's own contract it is executed; if the attested result comes
// out, it was executed again. If not, the builder may have had another contract: that is no proof of
// tampering, and no confirmation. The attested result then stands as the signer's word.
func (v *verifier) coverageClaim(got *claim.Result, attested claim.Result) (again bool) {
	switch {
	case v.cover == nil:
		v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnNotReexecuted, got.ClaimID, "claim %s reads a file that is not in the pack: its result is the signer's word", form.Quote(got.ClaimID))
	case claim.SameOutcome(*got, attested):
		return true
	default:
		v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnNotReexecuted, got.ClaimID, "claim %s comes to %s under the coverage contract given, attested is %s: that is the signer's word",
			form.Quote(got.ClaimID), form.Quote(got.Actual), form.Quote(attested.Actual))
	}
	*got = attested
	return false
}

// fingerprint is that of claims.md §4.5, "" without results.
func fingerprint(a manifest.Attestation, results []claim.Result) string {
	if len(results) == 0 {
		return ""
	}
	return claim.Fingerprint(a.PolicyHash, a.SuiteHash, results)
}

// settleClaims gives the verdict of the claims channel of a pack whose integrity is PASS.
func (v *verifier) settleClaims() {
	switch v.m.Attestation.ClaimCheck {
	case manifest.ClaimsPass:
		v.r.Claims.Verdict = Pass
	case manifest.ClaimsFail:
		v.r.Claims.Verdict = Fail
	default:
		return
	}
	if v.r.Claims.Reexecuted && !claim.Holds(v.r.Claims.Results) {
		v.r.Claims.Verdict = Fail
	}
	if v.claims == nil {
		v.r.Claims.Results = v.report.results
		v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnNotReexecuted, "claim_check",
			"no definitions with claim_set_hash %s: the claims were NOT re-executed, their results are the signer's word", v.m.Attestation.ClaimSetHash)
	}
}

// CardSource says whose a card is: checks that pass say as much as whoever wrote them meant them to.
type CardSource string

const (
	SourceBuiltIn CardSource = "built in"
	SourceLock    CardSource = "pinned by the lock"
	SourceGiven   CardSource = "given by the caller"
	SourceSigner  CardSource = "the signer's own" // it came with the pack, unsigned
)

// sourceOf is where a card of the definitions comes from: the same claims under the same id.
func (v *verifier) sourceOf(card claim.Card) CardSource {
	hash := claim.SetHash([]claim.Card{card})
	among := func(cards []claim.Card) bool {
		return slices.ContainsFunc(cards, func(c claim.Card) bool { return c.ID == card.ID && claim.SetHash([]claim.Card{c}) == hash })
	}
	switch {
	case among(claim.BuiltinCards()):
		return SourceBuiltIn
	case v.o.Lock != nil && among(v.o.Lock.Cards()):
		return SourceLock
	case among(v.o.Cards):
		return SourceGiven
	}
	return SourceSigner
}

// nameSources says whose the cards are, and warns about an id that reads like a built-in's and is another.
func (v *verifier) nameSources(cards []claim.Card) {
	for _, card := range cards {
		v.r.Claims.Sources = append(v.r.Claims.Sources, v.sourceOf(card))
		if twin := claim.Lookalike(card.ID); twin != "" {
			v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnLookalike, manifest.CardsName, "card %s looks like the built-in %s, and is another", form.Quote(card.ID), twin)
		} else if !claim.PlainID(card.ID) {
			v.warned.Of(manifest.ChannelClaims).Add(manifest.WarnLookalike, manifest.CardsName, "the id of card %s is more than letters, digits, '.', '_' and '-'", form.Quote(card.ID))
		}
	}
}
