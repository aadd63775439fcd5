package claim

import (
	"fmt"
	"testing"
)

// numbered is a card of one claim whose id is c, unlike every other number's.
func numbered(t *testing.T, n int) Card {
	t.Helper()
	card := oneCard(t, "receipt_count_ge", fmt.Sprintf(`{"min_count":%d}`, n))
	card.ID = fmt.Sprintf("acme.c%d", n)
	return card
}

// Nine cards that share the id of their claim can be put together for two results in 81 ways: the first card in the
// order in which it was given with each of the nine, itself too, then the second.
// VFY-41
func TestCardsArePutTogetherDepthFirstMayRepeatAndOnly65ListsAreHashed(t *testing.T) {
	var pool []Card
	for n := range 9 {
		pool = append(pool, numbered(t, n))
	}
	two := []Result{{ClaimID: "c"}, {ClaimID: "c"}}
	for k := range 81 {
		want := []Card{pool[k/9], pool[k%9]}
		got := FindCards(SetHash(want), pool, nil, nil, two)
		switch found := k < 65; {
		case found != (got != nil):
			t.Errorf("list %d: found %t", k+1, got != nil)
		case found && (len(got) != 2 || got[0].ID != want[0].ID || got[1].ID != want[1].ID):
			t.Errorf("list %d: %s, %s", k+1, got[0].ID, got[1].ID)
		}
	}
}

// Each card that is looked at for a place is a step, whether its claims fit there or not.
// VFY-41
func TestEachCardThatIsLookedAtForAPlaceIsAStep(t *testing.T) {
	fits := numbered(t, 1)
	want, two := []Card{fits, fits}, []Result{{ClaimID: "c"}, {ClaimID: "c"}}
	for others, found := range map[int]bool{2047: true, 2048: false} { // with it 4,096 steps for the two places, and two more
		var pool []Card
		for n := range others {
			other := numbered(t, n)
			other.Claims[0].ID = "other"
			pool = append(pool, other)
		}
		s := cardSearch{want: SetHash(want), budget: 4096}
		if got := s.byIDs(append(pool, fits), two); got != found {
			t.Errorf("%d cards that do not fit: found %t", others, got)
		}
	}
}

// VFY-40, VFY-41
func TestCardsAreFoundInTheOrderOfTheSearch(t *testing.T) {
	// Cards of one hash that spell a number otherwise: which of them is found is told by its name.
	spelled := func(id, n string) Card {
		card := oneCard(t, "receipt_count_ge", `{"min_count":`+n+`}`)
		card.ID = id
		return card
	}
	lock, given, pack := spelled("acme.lock", "1"), spelled("acme.given", "1.0"), spelled("acme.pack", "1e0")
	hash := SetHash([]Card{lock})
	one := []Result{{ClaimID: "c"}}
	other := numbered(t, 7)
	for _, c := range []struct {
		given, locked, sidecar []Card
		want                   string
	}{
		{[]Card{given}, []Card{lock}, []Card{pack}, "acme.lock"},                // 1
		{[]Card{given}, []Card{lock, other}, []Card{pack}, "acme.given"},        // 2
		{[]Card{other, given}, []Card{lock, other}, []Card{pack}, "acme.given"}, // 3: those given before those of the lock
		{nil, []Card{other, lock}, []Card{pack}, "acme.lock"},                   // 3
		{[]Card{other}, nil, []Card{pack}, "acme.pack"},                         // 5
		{[]Card{other}, nil, []Card{other, pack}, "acme.pack"},                  // 6
	} {
		if got := FindCards(hash, c.given, c.locked, c.sidecar, one); len(got) != 1 || got[0].ID != c.want {
			t.Errorf("%v, want %s", got, c.want)
		}
	}
}
