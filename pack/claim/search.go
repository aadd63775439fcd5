package claim

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// FindCards finds the cards that a claim_set_hash stands for, in their order: among those that the caller
// gives, those of its lock, the built-in ones and, last, those of the pack's sidecar, which nothing signed
// covers. reported are the results of the pack's own report: the order of their claim ids is a hint, and may
// be a lie. It is nil if nothing was found within bounded effort.
func FindCards(want string, given, locked, sidecar []Card, reported []Result) []Card {
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
	if len(cards) == 0 || s.budget == 0 || s.hashed > maxHashed || Count(cards) > MaxClaims {
		return false
	}
	s.budget--
	if s.hash(cards) != s.want {
		return false
	}
	s.found = slices.Clone(cards)
	return true
}

// hash is SetHash, which makes the canonical text of each card once: C of a list is the texts of its
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
		return SetHash(nil)
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
		list.Items = append(list.Items, c.Value())
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
func (s *cardSearch) byIDs(pool []Card, results []Result) bool {
	if len(results) > MaxClaims {
		return false
	}
	steps, tries := 4096, 64 // cards may share ids; the pack is not to choose how long we look
	var chosen []Card
	var extend func(rest []Result) bool
	extend = func(rest []Result) bool {
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

// MaxClaims is how many claims a verifier evaluates: each is asked of every receipt.
const MaxClaims = 1000

// Count counts the claims of cards.
func Count(cards []Card) (n int) {
	for _, c := range cards {
		n += len(c.Claims)
	}
	return n
}

func startsWith(results []Result, claims []Claim) bool {
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

// ParseCards reads a list of cards: [{"card_id":…,"name":…,"claims":[…]},…].
func ParseCards(text []byte) ([]Card, error) {
	v, err := form.Parse(text, form.MaxFile)
	if err != nil {
		return nil, err
	}
	if v.Kind != jcs.Array {
		return nil, errors.New("not a list of run cards")
	}
	var cards []Card
	for i, item := range v.Items {
		card, err := CardOf(item)
		if err != nil {
			return nil, fmt.Errorf("run card %d: %w", i, err)
		}
		// What no pack can declare is not looked at: the pack is not to choose how long we look.
		if cards = append(cards, card); Count(cards) > MaxClaims {
			return nil, fmt.Errorf("more than %d claims", MaxClaims)
		}
	}
	return cards, nil
}
