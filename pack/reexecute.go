package pack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// FindCards finds the cards that a claim_set_hash stands for, in their order: among those that the caller
// gives, those of its lock, the built-in ones and, last, those of the pack's sidecar, which nothing signed
// covers. reported are the results of the pack's own report: the order of their claim ids is a hint, and may
// be a lie. It is nil if nothing was found within bounded effort.
func FindCards(want string, given, locked, sidecar []Card, reported []ClaimResult) []Card {
	known := slices.Concat(given, locked, BuiltinCards())
	search := cardSearch{want: want, budget: 4096}
	switch {
	// What we know goes by our names, however the sidecar cuts and calls it: locks are made of these cards.
	case search.try(locked), search.try(given), search.each(known), search.byIDs(known, reported), search.try(sidecar):
	case search.byIDs(slices.Concat(known, sidecar), reported):
	case search.orders(BuiltinCards()):
	}
	return search.found
}

// cardSearch looks for the cards, in order, whose claims hash to want.
type cardSearch struct {
	want   string
	budget int // how many more sequences may be hashed
	hashed int // bytes so far
	texts  map[*Claim][]byte
	found  []Card
}

func (s *cardSearch) try(cards []Card) bool {
	if len(cards) == 0 || s.budget == 0 || s.hashed > maxHashed || numClaims(cards) > maxClaims {
		return false
	}
	s.budget--
	if s.hash(cards) != s.want {
		return false
	}
	s.found = slices.Clone(cards)
	return true
}

// hash is ClaimSetHash, which makes the canonical text of each card once: C of a list is the texts of its
// items with commas between them.
func (s *cardSearch) hash(cards []Card) string {
	sum := sha256.New()
	before := byte('[')
	for _, card := range cards {
		if len(card.Claims) == 0 {
			continue
		}
		text := s.text(card.Claims)
		if text == nil {
			return ""
		}
		sum.Write([]byte{before})
		sum.Write(text)
		s.hashed += len(text)
		before = ','
	}
	if before == '[' {
		return ClaimSetHash(nil)
	}
	sum.Write([]byte{']'})
	return hex.EncodeToString(sum.Sum(nil))
}

// text is C(claims) without its brackets, nil if there is none.
func (s *cardSearch) text(claims []Claim) []byte {
	first := &claims[0] // cards are copied, their claims are not
	if text, ok := s.texts[first]; ok {
		return text
	}
	if s.texts == nil {
		s.texts = map[*Claim][]byte{}
	}
	list := jcs.Arr()
	for _, c := range claims {
		list.Items = append(list.Items, c.value())
	}
	text, err := jcs.AppendPack(nil, list)
	if err != nil {
		text = nil
	} else {
		text = text[1 : len(text)-1]
	}
	s.texts[first] = text
	return text
}

func (s *cardSearch) each(cards []Card) bool {
	for i := range cards {
		if s.try(cards[i : i+1]) {
			return true
		}
	}
	return false
}

// byIDs puts cards together by the claim ids of the report, which are in the order of the
// claims. The report may lie; then nothing is found here.
func (s *cardSearch) byIDs(pool []Card, results []ClaimResult) bool {
	if len(results) > maxClaims {
		return false
	}
	steps, tries := 4096, 64 // cards may share ids; the pack is not to choose how long we look
	var chosen []Card
	var extend func(rest []ClaimResult) bool
	extend = func(rest []ClaimResult) bool {
		if len(rest) == 0 {
			tries--
			return s.try(chosen)
		}
		for _, card := range pool {
			if steps--; steps < 0 || tries < 0 {
				return false
			}
			if !startsWith(rest, card.Claims) {
				continue
			}
			chosen = append(chosen, card)
			if extend(rest[len(card.Claims):]) {
				return true
			}
			chosen = chosen[:len(chosen)-1]
		}
		return false
	}
	return extend(results)
}

// orders tries every order of every selection of the cards, short ones first: for six cards 1,956.
func (s *cardSearch) orders(cards []Card) bool {
	for size := 2; size <= len(cards); size++ {
		if s.permute(cards, nil, size) {
			return true
		}
	}
	return false
}

func (s *cardSearch) permute(rest, chosen []Card, size int) bool {
	if len(chosen) == size {
		return s.try(chosen)
	}
	for i := range rest {
		if s.permute(slices.Concat(rest[:i], rest[i+1:]), slices.Concat(chosen, rest[i:i+1]), size) {
			return true
		}
	}
	return false
}

// maxHashed bounds the bytes that are hashed in search of the cards: the sidecar is as long as the pack likes.
const maxHashed = 256 << 20

// maxClaims is how many claims a verifier evaluates: each is asked of every receipt.
const maxClaims = 1000

// numClaims counts the claims of cards.
func numClaims(cards []Card) (n int) {
	for _, c := range cards {
		n += len(c.Claims)
	}
	return n
}

func startsWith(results []ClaimResult, claims []Claim) bool {
	if len(claims) == 0 || len(claims) > len(results) {
		return false
	}
	for i := range claims {
		if results[i].ClaimID != claims[i].ID {
			return false
		}
	}
	return true
}

// parseCards reads a list of cards: [{"card_id":…,"name":…,"claims":[…]},…].
func parseCards(text []byte) ([]Card, error) {
	v, err := form.Parse(text, form.MaxFile)
	if err != nil {
		return nil, err
	}
	if v.Kind != jcs.Array {
		return nil, errors.New("not a list of run cards")
	}
	var cards []Card
	for i, item := range v.Items {
		card, err := cardOf(item)
		if err != nil {
			return nil, fmt.Errorf("run card %d: %w", i, err)
		}
		// What no pack can declare is not looked at: the pack is not to choose how long we look.
		if cards = append(cards, card); numClaims(cards) > maxClaims {
			return nil, fmt.Errorf("more than %d claims", maxClaims)
		}
	}
	return cards, nil
}

// claimVerdict is the claim_check of results: N/A without any, FAIL with a failing critical one.
func claimVerdict(results []ClaimResult) string {
	switch {
	case len(results) == 0:
		return "N/A"
	case claimsPass(results):
		return "PASS"
	}
	return "FAIL"
}

// sameOutcome compares what a fingerprint covers.
func sameOutcome(a, b ClaimResult) bool {
	return a.Passed == b.Passed && a.Expected == b.Expected && a.Actual == b.Actual && a.Severity == b.Severity
}

// coverageCheck is the one check that reads a file outside of the pack.
const coverageCheck = "coverage_contract"

// definition is the claims that claim_set_hash stands for, and their evaluation.
type definition struct {
	cards  []Card
	claims []Claim // of the cards, in the spelling of the hash
	run    *claimRun
}

// newDefinition is the claims of cards as the hash spells them (Claim.Canonical).
func newDefinition(cards []Card) *definition {
	d := &definition{cards: cards}
	for _, c := range claimsOfCards(cards) {
		d.claims = append(d.claims, c.canonical())
	}
	d.run = newClaimRun(d.claims)
	return d
}

// claimRun is what the receipts are to be shown to, nil if nothing.
func (d *definition) claimRun() *claimRun {
	if d == nil {
		return nil
	}
	return d.run
}

// define finds the definitions whose hash is the attested claim_set_hash (pack.md §5.4, §5.7).
// The manifest holds only the hash, so wherever they come from, they are the signer's or none.
func (v *verifier) define() *definition {
	a := v.m.Attestation
	if a.ClaimCheck == "N/A" && a.ClaimSetHash == form.HexSum([]byte(a.ClaimSetID)) {
		return nil // pack.md §3.4: how a pack without claims says so
	}
	// What the relying party knows goes before what travels with the pack: cards of one hash may
	// still spell a number as 1 and 1.0, which is text of the results.
	var locked []Card
	if v.o.Lock != nil {
		locked = v.o.Lock.Cards()
	}
	sidecar := v.sidecar()
	cards := FindCards(a.ClaimSetHash, v.o.Cards, locked, sidecar, v.report.results)
	if cards == nil {
		if len(sidecar) > 0 {
			v.warned.Add(manifest.WarnSidecar, manifest.CardsName, "%s does not hold the claims of claim_set_hash", manifest.CardsName)
		}
		return nil
	}
	return newDefinition(cards)
}

// sidecar reads _unsigned/run_cards.json. Nothing signed covers it, but what does not
// hash to claim_set_hash is not used.
func (v *verifier) sidecar() []Card {
	text, err := v.read(manifest.CardsName, form.MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var cards []Card
	if err == nil {
		cards, err = parseCards(text)
	}
	if err != nil {
		v.warned.Add(manifest.WarnSidecar, manifest.CardsName, "%s is ignored: %s", manifest.CardsName, form.OneLine(err))
	}
	return cards
}

// reexecute compares what is attested of the claims with what the receipts say now. An
// attested verdict is only ever compared, never believed (threats.md D6).
func (v *verifier) reexecute() {
	if v.claims == nil || v.claims.run == nil {
		return
	}
	run := v.claims.run
	results := run.results()
	run.inWordsOf(v.report.results, results)
	again := v.signersWord(results)
	literal, differs := run.literalResults(results)
	run.inWordsOf(v.report.results, literal)
	switch problem := v.contradiction(results); {
	case problem == "":
		v.checkEvidence(results)
	case differs && v.contradiction(literal) == "":
		v.checkEvidence(literal)
		// The reference builds such packs honestly: to it a breakglass receipt by its admitted name is
		// any receipt. That is no tampering, but the claim has failed if it fails in either reading.
		v.warned.Add(manifest.WarnBreakglass, "claim_check", "the builder did not take %s receipts for %s receipts: the claims were judged anew", receipt.BreakglassType, receipt.Breakglass)
		if claimsPass(results) {
			results = literal
		}
	default:
		v.found.Add(manifest.CodeTamper, problem, "the claims give %s, and other results than those attested, which is %s", claimVerdict(results), v.m.Attestation.ClaimCheck)
	}
	v.r.ClaimResults, v.r.ClaimsReexecuted, v.r.Cards = results, again, v.claims.cards
	v.nameSources(v.claims.cards)
}

// signersWord replaces the results that cannot be found again here by those of the report, and reports
// whether there were none.
func (v *verifier) signersWord(results []ClaimResult) (again bool) {
	again = true
	for i, c := range v.claims.claims {
		if i >= len(v.report.results) || v.report.results[i].ClaimID != c.ID {
			continue
		}
		told := v.report.results[i]
		_, known := predicateNamed(c.Check)
		switch {
		case c.Check == coverageCheck:
			again = v.coverageClaim(&results[i], told) && again
		case !known && told.Actual != unknownCheck:
			// The check may be one of a later release: nobody has to have lied.
			v.warned.Add(manifest.WarnNotReexecuted, c.ID, "claim %s asks for a check that is not known here: its result is the signer's word", form.Quote(c.ID))
			results[i], again = told, false
		case c.readsProjected() && !sameOutcome(results[i], told):
			// The reference asks its claims before it drops what is not packed (pack.md §1.4).
			v.warned.Add(manifest.WarnNotReexecuted, c.ID, "claim %s reads a member that no pack holds: its result is the signer's word", form.Quote(c.ID))
			results[i], again = told, false
		case known && told.Actual == unknownCheck && !told.Passed:
			// So the reference builds packs with checks of ours, and its older releases those with checks that
			// came later: a claim that it cannot ask has failed.
			v.warned.Add(manifest.WarnNotReexecuted, c.ID, "the builder did not know the check of claim %s, which failed there", form.Quote(c.ID))
			results[i], again = told, false
		}
	}
	return again
}

// contradiction names the attested value that the results belie, "" if they agree.
func (v *verifier) contradiction(results []ClaimResult) string {
	a := v.m.Attestation
	switch {
	case claimVerdict(results) != a.ClaimCheck:
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
func (v *verifier) coverageClaim(got *ClaimResult, attested ClaimResult) (again bool) {
	switch {
	case v.cover == nil:
		v.warned.Add(manifest.WarnNotReexecuted, got.ClaimID, "claim %s reads a file that is not in the pack: its result is the signer's word", form.Quote(got.ClaimID))
	case sameOutcome(*got, attested):
		return true
	default:
		v.warned.Add(manifest.WarnNotReexecuted, got.ClaimID, "claim %s comes to %s under the coverage contract given, attested is %s: that is the signer's word",
			form.Quote(got.ClaimID), form.Quote(got.Actual), form.Quote(attested.Actual))
	}
	*got = attested
	return false
}

// fingerprint is pack.md §5.5, "" without results.
func fingerprint(a manifest.Attestation, results []ClaimResult) string {
	if len(results) == 0 {
		return ""
	}
	return discrepancyFingerprint(a.PolicyHash, a.SuiteHash, results)
}

// settleClaims gives the verdict of the claims channel of a pack whose integrity is PASS.
func (v *verifier) settleClaims() {
	switch v.m.Attestation.ClaimCheck {
	case "PASS":
		v.r.Claims = Pass
	case "FAIL":
		v.r.Claims = Fail
	default:
		return
	}
	if v.r.ClaimsReexecuted && !claimsPass(v.r.ClaimResults) {
		v.r.Claims = Fail
	}
	if v.claims == nil {
		v.r.ClaimResults = v.report.results
		v.warned.Add(manifest.WarnNotReexecuted, "claim_check",
			"no definitions with claim_set_hash %s: the claims were NOT re-executed, their results are the signer's word", v.m.Attestation.ClaimSetHash)
	}
}
