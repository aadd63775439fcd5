package pack

import (
	"slices"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

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
		v.r.Sources = append(v.r.Sources, v.sourceOf(card))
		if twin := claim.Lookalike(card.ID); twin != "" {
			v.warned.Add(manifest.WarnLookalike, manifest.CardsName, "card %s looks like the built-in %s, and is another", form.Quote(card.ID), twin)
		} else if !claim.PlainID(card.ID) {
			v.warned.Add(manifest.WarnLookalike, manifest.CardsName, "the id of card %s is more than letters, digits, '.', '_' and '-'", form.Quote(card.ID))
		}
	}
}
