package claim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func TestFixturesAreListsOfAtMostSixtyFour(t *testing.T) {
	const pass = `[{"name": "three", "receipts": [{}, {"seq": 2}, {"type": "refusal"}]}]`
	one := pass[1 : len(pass)-1]
	for _, c := range []struct {
		pass string
		good bool
	}{
		{`[]`, true}, {`[` + strings.Repeat(one+",", maxFixtures-1) + one + `]`, true},
		{`[` + strings.Repeat(one+",", maxFixtures) + one + `]`, false}, {`{}`, false}, {`null`, false}, {`"three"`, false},
	} {
		text := strings.Replace(fixtureCard, pass, c.pass, 1)
		if text == fixtureCard {
			t.Fatal("nothing to replace")
		}
		if _, err := ParseCard([]byte(text)); (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), "a list of at most 64") {
			t.Errorf("%.40s: %v", c.pass, err)
		}
	}
}

func TestAFixtureIsAListOfAtMostTwoHundredAndFiftySixReceipts(t *testing.T) {
	const receipts = `[{}, {"seq": 2}, {"type": "refusal"}]`
	for _, c := range []struct {
		receipts string
		good     bool
	}{
		{`[]`, true}, {`[` + strings.Repeat(`{}, `, 255) + `{}]`, true}, {`[` + strings.Repeat(`{}, `, 256) + `{}]`, false},
		{`{}`, false}, {`null`, false}, {`[[]]`, false}, {`[{}, 1]`, false},
	} {
		text := strings.Replace(fixtureCard, receipts, c.receipts, 1)
		if text == fixtureCard {
			t.Fatal("nothing to replace")
		}
		if _, err := ParseCard([]byte(text)); (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), "receipts") {
			t.Errorf("%.40s: %v", c.receipts, err)
		}
	}
}

// What a builder would refuse is no receipt of a fixture either.
func TestAFixtureHoldsReceiptsThatAPackCouldHold(t *testing.T) {
	for receipt, says := range map[string]string{
		`{"type": ""}`:                             "type is empty or not a string",
		`{"receipt_id": ""}`:                       "receipt_id is empty or not a string",
		`{"timestamp": "yesterday"}`:               "not ISO 8601",
		`{"seq": 1.5}`:                             "seq is not an integer",
		`{"receipt_id": "a"}, {"receipt_id": "a"}`: "is another receipt's",
	} {
		text := strings.Replace(fixtureCard, `[{}, {"seq": 2}, {"type": "refusal"}]`, `[{}, `+receipt+`]`, 1)
		card, err := ParseCard([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if r := card.Test()[0]; r.OK() || r.Err == nil || !strings.Contains(r.Err.Error(), says) {
			t.Errorf("%s: %+v", receipt, r)
		}
	}
}

// VFY-48
func TestFullwidthCapitalsReadLikeLetters(t *testing.T) {
	for from, to := range map[string]string{"G": "\uff27", "a": "\uff41", "z": "\uff5a"} {
		id := strings.Replace("Guardian_enforcement", from, to, 1)
		if got := Lookalike(id); from != "z" && got != "guardian_enforcement" {
			t.Errorf("%q: %q", id, got)
		}
	}
	if got := skeleton("\uff21\uff3a\uff20\uff3b\uff41\uff5a\uff40\uff5b"); got != "azaz" {
		t.Errorf("fullwidth letters and what stands beside them: %q", got)
	}
}

// A number says the same whatever stands around it, also one that no int holds.
func TestAStatusThatIsANumberIsReadAsOne(t *testing.T) {
	for text, want := range map[string]outcome{
		"399": saysFine, "400": saysFailed, "-1": saysNothing, "-0.5": saysNothing, "1e999": saysFailed, "-1e999": saysNothing, "nan": saysFailed,
		"399 it went well": saysFine, "400 it did not": saysFailed, "HTTP/1.1 503 Service Unavailable": saysFailed, "HTTP 200": saysFine,
		"99999999999999999999 and more": saysFailed, "40 things": saysNothing, "": saysNothing, " \t": saysNothing,
		strings.Repeat("a", 32) + "error": saysNothing, strings.Repeat("a", 27) + "error": saysFailed, strings.Repeat("a", 28) + "error": saysNothing,
	} {
		if got := outcomeOfText(text, saysNothing); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if got := outcomeOfText("-1", saysFine); got != saysFine {
		t.Errorf("-1 where nothing is said: %d", got)
	}
	for _, size := range []int{31, 32, 33} {
		var room [32]byte
		if got := plainWord(&room, "A_"+strings.Repeat("b", size-1)); len(got) != size && size <= 32 || got != nil && size > 32 {
			t.Errorf("a word of %d letters has %d", size, len(got))
		}
	}
}

// breakglass has two names, and whoever counts one counts both.
func TestTheProxyCountsBothNamesOfBreakglass(t *testing.T) {
	const session = `{"type":"session_metadata","receipt_id":"s","requests_seen":2,"receipts_written":2}`
	for lines, passed := range map[string]bool{
		`{"type":"breakglass","receipt_id":"a"}` + "\n" + `{"type":"assay.breakglass/v1","receipt_id":"b"}`: true,
		`{"type":"breakglass","receipt_id":"a"}` + "\n" + `{"type":"model_call","receipt_id":"b"}`:          false,
	} {
		if r := judgeOne(t, "proxy_completeness", `{"counted_types":["breakglass"]}`, session+"\n"+lines); r.Passed != passed {
			t.Errorf("%s: %+v", lines, r)
		}
	}
	one := `{"type":"assay.breakglass/v1","receipt_id":"b"}` + "\n" + strings.Replace(session, ":2", ":1", 2)
	if r := judgeOne(t, "proxy_completeness", `{"counted_types":["model_call"]}`, one); r.Passed {
		t.Errorf("a type that is not counted: %+v", r)
	}
}

// CLM-22
func TestNoMoreClaimsAreReadThanAreEvaluated(t *testing.T) {
	card := oneCard(t, "receipt_count_ge", `{"min_count":1}`)
	for n, good := range map[int]bool{MaxClaims: true, MaxClaims + 1: false} {
		definitions := make([]jcs.Value, n)
		for i := range definitions {
			definitions[i] = card.Definition()
		}
		text, err := jcs.AppendPretty(nil, jcs.Arr(definitions...))
		if err != nil {
			t.Fatal(err)
		}
		cards, err := ParseCards(text)
		if (err == nil) != good || good && Count(cards) != n || !good && !strings.Contains(err.Error(), fmt.Sprintf("more than %d claims", MaxClaims)) {
			t.Errorf("%d claims: %d, %v", n, len(cards), err)
		}
	}
}

// Nothing is tried that no pack could declare, and a search ends with its budget.
// VFY-40
func TestASearchOfCardsIsBounded(t *testing.T) {
	card := oneCard(t, "receipt_count_ge", `{"min_count":1}`)
	want := SetHash([]Card{card})
	many := make([]Card, MaxClaims+1)
	for i := range many {
		many[i] = card
	}
	for name, c := range map[string]struct {
		search cardSearch
		cards  []Card
		found  bool
	}{
		"a card":              {cardSearch{want: want, budget: 1}, many[:1], true},
		"no card":             {cardSearch{want: SetHash(nil), budget: 1}, nil, false},
		"no budget":           {cardSearch{want: want}, many[:1], false},
		"enough hashed":       {cardSearch{want: want, budget: 1, hashed: maxHashed + 1}, many[:1], false},
		"as much as may be":   {cardSearch{want: want, budget: 1, hashed: maxHashed}, many[:1], true},
		"as many as may be":   {cardSearch{want: SetHash(many[:MaxClaims]), budget: 1}, many[:MaxClaims], true},
		"too many":            {cardSearch{want: SetHash(many), budget: 1}, many, false},
		"another card's hash": {cardSearch{want: SetHash(many[:2]), budget: 1}, many[:1], false},
	} {
		if got := c.search.try(c.cards); got != c.found || got != (c.search.found != nil) {
			t.Errorf("%s: %t, %d cards", name, got, len(c.search.found))
		}
	}
	results := make([]Result, MaxClaims+1)
	for i := range results {
		results[i].ClaimID = "c"
	}
	s := cardSearch{want: want, budget: 1}
	if s.byIDs([]Card{card}, results) {
		t.Error("a report of more results than there can be")
	}
	odd := oneCard(t, "receipt_count_ge", `{}`)
	odd.Claims[0].Params = jcs.Obj(jcs.M("x", jcs.Value{Kind: jcs.Number, Text: "1e400"}))
	s = cardSearch{want: want, budget: 9}
	if got := s.hash([]Card{card, odd}); got != "" {
		t.Errorf("claims without a canonical form have the hash %q", got)
	}
	if got := s.hash([]Card{card}); got != want {
		t.Errorf("hash %q, want %q", got, want)
	}
	if got := s.hash([]Card{{ID: "none"}}); got != SetHash(nil) {
		t.Errorf("no claims: %q", got)
	}
}

// The bounds of what is ours alone are exact.
// CLM-13
func TestWholeNumbersAreThoseThatADoubleHolds(t *testing.T) {
	for text, good := range map[string]bool{
		"0": true, "1": true, "9007199254740991": true, "9007199254740992": false, "-1": false, "1.5": false, `"1"`: false, "null": false, "true": false, "1.0": false,
	} {
		if r := judgeOne(t, "receipt_count_le", `{"max_count":`+text+`}`, ""); (r.Actual != "param 'max_count' is not a whole number from 0 to 2^53-1") != good {
			t.Errorf("%s: %+v", text, r)
		}
	}
	for size, good := range map[int]bool{0: false, 1: true, 256: true, 257: false} {
		r := judgeOne(t, "latency_p95_le", fmt.Sprintf(`{"max_ms":1,"field_name":%q}`, strings.Repeat("x", size)), "")
		if strings.Contains(r.Actual, "is not a text of 1 to 256 bytes") == good {
			t.Errorf("a name of %d bytes: %+v", size, r)
		}
	}
}
