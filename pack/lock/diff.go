package lock

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

// Effect says what a change of a lock does to what is demanded of packs.
type Effect string

const (
	Weaker   Effect = "weaker"   // packs pass that did not, or that cannot be excluded
	Stronger Effect = "stronger" // fewer packs pass
	Other    Effect = "other"    // other packs, or the same
)

// Change is one difference between two locks. Message is printable ASCII.
type Change struct {
	Effect  Effect
	Message string
}

// Diff says in words what is demanded by one lock and not by the other, what is weaker first.
// Nothing to say means that both demand the same, whatever their bytes are.
func Diff(old, new *Lock) []Change { // threats.md K05
	d := &differ{}
	d.signers(old, new)
	d.cards(old, new)
	d.contract(old.ContractHash(), new.ContractHash())
	d.version("assay_version_min", old, new, Stronger)
	d.version("assay_version_max", old, new, Weaker)
	if a, b := old.PackFormat(), new.PackFormat(); a != b {
		d.say(Other, "pack_format_version is %s, was %s", form.Quote(b), form.Quote(a))
	}
	rank := []Effect{Weaker, Stronger, Other}
	slices.SortStableFunc(d.changes, func(a, b Change) int {
		return cmp.Compare(slices.Index(rank, a.Effect), slices.Index(rank, b.Effect))
	})
	return d.changes
}

type differ struct{ changes []Change }

func (d *differ) say(e Effect, format string, args ...any) {
	d.changes = append(d.changes, Change{e, fmt.Sprintf(format, args...)})
}

func (d *differ) signers(old, new *Lock) {
	before, after := old.Signers(), new.Signers()
	switch {
	case before.Any() && after.Any():
		return
	case after.Any():
		d.say(Weaker, "any key may sign; an allowlist said which")
		return
	case before.Any():
		d.say(Stronger, "only the keys of an allowlist may sign (%d); any could", len(after.keys))
		return
	}
	for _, key := range after.keys {
		if !before.Admits(key) {
			d.say(Weaker, "one more key may sign: %s", key)
		}
	}
	for _, key := range before.keys {
		if !after.Admits(key) {
			d.say(Stronger, "the key %s may not sign any more", key)
		}
	}
}

func (d *differ) cards(old, new *Lock) {
	find := func(cards []claim.Card, id string) (claim.Card, bool) {
		i := slices.IndexFunc(cards, func(c claim.Card) bool { return c.ID == id })
		if i < 0 {
			return claim.Card{}, false
		}
		return cards[i], true
	}
	said := len(d.changes)
	for _, before := range old.cards {
		if after, ok := find(new.cards, before.ID); !ok {
			d.say(Weaker, "card %s is not demanded any more", form.Printable(before.ID))
		} else if after.Name != before.Name {
			d.say(Other, "card %s is called %s, was %s", form.Printable(before.ID), form.Quote(after.Name), form.Quote(before.Name))
		}
	}
	for _, after := range new.cards {
		if before, ok := find(old.cards, after.ID); !ok {
			d.say(Stronger, "card %s is demanded as well", form.Printable(after.ID))
		} else {
			d.claims(after.ID, before.Claims, after.Claims)
		}
	}
	if old.ClaimSetHash() != new.ClaimSetHash() && len(d.changes) == said {
		d.say(Other, "the cards stand in another order, or another number of times: packs must declare them so")
	}
}

// claims compares two sets under one card id. What we cannot rank counts as weaker: somebody must look.
func (d *differ) claims(card string, old, new []claim.Claim) {
	// The same id may stand for several claims: the first is compared with the first, and so on.
	find := func(claims []claim.Claim, id string, nth int) (claim.Claim, bool) {
		for _, c := range claims {
			if c.ID != id {
				continue
			}
			if nth--; nth < 0 {
				return c, true
			}
		}
		return claim.Claim{}, false
	}
	nth := func(claims []claim.Claim, i int) (n int) {
		for _, c := range claims[:i] {
			if c.ID == claims[i].ID {
				n++
			}
		}
		return n
	}
	at := func(id string) string { return form.Printable(id) + " of card " + form.Printable(card) }
	said := len(d.changes)
	for i, before := range old {
		after, ok := find(new, before.ID, nth(old, i))
		unranked := func() bool {
			same := after
			same.Severity, same.Description = before.Severity, before.Description
			return form.CanonicalHash(same.Value()) != form.CanonicalHash(before.Value())
		}
		switch {
		case !ok:
			d.say(Weaker, "claim %s is not demanded any more", at(before.ID))
		case unranked():
			d.say(Weaker, "claim %s checks something else, which may be less", at(before.ID))
		case after.Severity != before.Severity && after.Severity == claim.Critical:
			d.say(Stronger, "claim %s is critical, was %s", at(before.ID), form.Quote(string(before.Severity)))
		case after.Severity != before.Severity:
			d.say(Weaker, "claim %s has severity %s, was %s", at(before.ID), form.Quote(string(after.Severity)), form.Quote(string(before.Severity)))
		case after.Description != before.Description:
			d.say(Other, "claim %s is described in other words", at(before.ID))
		}
	}
	for i, after := range new {
		if _, ok := find(old, after.ID, nth(new, i)); !ok {
			d.say(Stronger, "claim %s is demanded as well", at(after.ID))
		}
	}
	if one := []claim.Card{{Claims: old}}; len(d.changes) == said && claim.SetHash(one) != claim.SetHash([]claim.Card{{Claims: new}}) {
		d.say(Weaker, "card %s has other claims under the same ids", form.Printable(card))
	}
}

func (d *differ) contract(old, new string) {
	switch {
	case old == new:
	case new == "":
		d.say(Weaker, "no coverage contract is pinned; %s was", old)
	case old == "":
		d.say(Stronger, "the coverage contract %s is pinned", new)
	default:
		d.say(Weaker, "another coverage contract is pinned, which may ask for less: %s, was %s", new, old)
	}
}

// version compares a bound of the version window; raised is the effect of raising it.
func (d *differ) version(name string, old, new *Lock, raised Effect) {
	before, after := form.Str(old.value, name), form.Str(new.value, name)
	a, _ := parseRelease(before)
	b, _ := parseRelease(after)
	effect := raised
	switch c := slices.Compare(b[:], a[:]); {
	case c == 0:
		return
	case c < 0 && raised == Stronger:
		effect = Weaker
	case c < 0:
		effect = Stronger
	}
	d.say(effect, "%s is %s, was %s: %s verifiers are admitted", name, after, before, map[Effect]string{Weaker: "more", Stronger: "fewer"}[effect])
}
