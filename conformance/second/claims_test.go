package second

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// TestClaimsComeToTheSameInBothVerifiers: which cards are refused, and the results of the others, word for word, on
// receipts that nobody would emit (CLM-9 to CLM-24).
func TestClaimsComeToTheSameInBothVerifiers(t *testing.T) {
	s, rng, want := serve(t), rand.New(rand.NewPCG(9, 24)), 4_000
	if long {
		want = 100_000
	}
	asked, refused, passed, differ := 0, 0, 0, 0
	for asked < want && differ < 20 {
		var items []cardCase
		for range 200 {
			items = append(items, someCard(rng))
		}
		for i, answer := range askSecond[[][]string](t, s, "card", items) {
			asked++
			ours := items[i].ask(t)
			if ours == nil {
				refused++
			}
			for j := range max(len(ours), len(answer)) {
				if (ours == nil) != (answer == nil) || !slices.Equal(ours[j], answer[j]) {
					t.Errorf("%s\nof %v is\n%q, and in the other verifier\n%q", items[i].Card, items[i].Receipts, ours, answer)
					differ++
					break
				}
			}
			for _, r := range ours {
				if r[1] == "true" {
					passed++
				}
			}
		}
	}
	t.Logf("%d cards, %d refused; %d claims passed", asked, refused, passed)
	if refused > asked*9/10 || passed < asked/10 {
		t.Error("cards that say little")
	}
}

type cardCase struct {
	Card     string   `json:"card"`
	Receipts []string `json:"receipts"`
}

// ask gives the results in Go, nil if the card is refused.
func (c cardCase) ask(t *testing.T) (rows [][]string) {
	card, err := claim.ParseCard([]byte(c.Card))
	if err != nil {
		return nil
	}
	var claims []claim.Claim
	for _, c := range card.Claims {
		claims = append(claims, c.Canonical())
	}
	run := claim.NewRun(claims)
	for _, text := range c.Receipts {
		v, err := jcs.Parse([]byte(text), jcs.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		run.Add(v)
	}
	for _, r := range run.Results() {
		rows = append(rows, append([]string{r.ClaimID, strconv.FormatBool(r.Passed), r.Expected, r.Actual, string(r.Severity)}, r.Evidence...))
	}
	return rows
}

// odd is values of every kind, among them what is nearly a number, a word, a status or a time.
var odd = strings.Split(`null|true|false|0|-0|1|2|3|-1|1.0|0.5|1e0|2.5|1E21|1e-7|399|400|503|9007199254740991|9007199254740992|`+
	`12345678901234567890|123.456|""|"a"|"b"|"ok"|"OK"|"error"|"no error"|"Timed-Out"|"200"|"404 Not Found"|"HTTP/1.1 500"|" 5_00 "|"0x1p9"|"nan"|`+
	`"stop"|"model_call"|"refusal"|"gpt-4o"|"gpt-4o-mini"|"claude-3"|"it's"|"\"q\""|"\u00e9\u200b\ud83d\ude00"|"\u0378"|"\ufffd"|[]|[1]|["error"]|`+
	`[[["500"]]]|[[[["500"]]]]|{}|{"k":1}|{"b":[1,"x"],"a":null}|"2026-01-15T10:30:00Z"|"2026-01-15T12:00:00+02:00"|"2026-01-15"|"CLEAN"|"DEBT_OVERDUE"|`+
	`"r0"|"r1"|"r2"|"r3"`, "|")

var (
	texts  = slices.DeleteFunc(slices.Clone(odd), func(v string) bool { return v[0] != '"' || v == `""` })
	types  = []string{`"model_call"`, `"refusal"`, `"breakglass"`, `"assay.breakglass/v1"`, `"guardian_verdict"`, `"governance_posture_snapshot"`, `"session_metadata"`}
	fields = strings.Fields(`x y seq receipt_id parent_receipt_id type timestamp latency_ms model_id total_tokens input_tokens output_tokens ` +
		`status error success finish_reason status_code HTTP-Status posture evaluated_at requests_seen receipts_written receipts_failed env_overrides failed`)
	patternsSeen = strings.Split(`a|gpt-4o(-mini)?|.*|[a-z]+|(?i)OK|\\d+|\\pL*|(a|(|(?:a*)*|stop`, "|")
)

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// someCard makes a card of claims that mostly can be asked.
func someCard(rng *rand.Rand) cardCase {
	var claims []string
	checks := append(claim.Predicates(), claim.Predicate{Name: "no_such"})
	for i := range 1 + rng.IntN(4) {
		p := pick(rng, checks)
		params := map[string]json.RawMessage{}
		for _, param := range p.Params {
			if param.Required && rng.IntN(40) > 0 || rng.IntN(3) == 0 {
				params[param.Name] = json.RawMessage(someParam(rng, param.Name))
			}
		}
		if rng.IntN(30) == 0 {
			params["more"] = json.RawMessage(pick(rng, odd))
		}
		text, err := json.Marshal(params)
		if err != nil {
			panic(err)
		}
		severity := pick(rng, []string{"critical", "critical", "warning", "Warning", "fatal"})
		claims = append(claims, fmt.Sprintf(`{"claim_id":"c%d","check":%q,"severity":%q,"params":%s}`, i, p.Name, severity, text))
	}
	c := cardCase{Card: fmt.Sprintf(`{"card_id":"x.y","name":"x","claims":[%s]}`, strings.Join(claims, ",")), Receipts: []string{}}
	for i := range rng.IntN(9) {
		members := []string{fmt.Sprintf(`"receipt_id":"r%d"`, i), `"type":` + pick(rng, types)}
		if rng.IntN(20) == 0 {
			members[0] = fmt.Sprintf(`"receipt_id":"%s%d"`, strings.Repeat("é", 120+rng.IntN(10)), i)
		}
		members = append(members, `"timestamp":`+pick(rng, append(texts, odd...)))
		for _, field := range fields {
			if field != "receipt_id" && field != "type" && field != "timestamp" && rng.IntN(4) == 0 {
				members = append(members, fmt.Sprintf("%q:%s", field, pick(rng, odd)))
			}
		}
		c.Receipts = append(c.Receipts, "{"+strings.Join(members, ",")+"}")
	}
	return c
}

func someParam(rng *rand.Rand, name string) string {
	if rng.IntN(15) == 0 {
		return pick(rng, odd)
	}
	list := func(of []string) string {
		var items []string
		for range 1 + rng.IntN(10) {
			items = append(items, pick(rng, of))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	switch {
	case strings.HasSuffix(name, "field") || strings.HasSuffix(name, "field_name"):
		return strconv.Quote(pick(rng, fields))
	case strings.HasSuffix(name, "type"):
		return pick(rng, types)
	case strings.HasSuffix(name, "types"):
		return list(types)
	case name == "allowed":
		return list(append([]string{`"gpt-*"`, `"claude-3"`, `"*"`}, odd...))
	case name == "pattern":
		return `"` + pick(rng, patternsSeen) + `"`
	case strings.HasPrefix(name, "allow_"):
		return pick(rng, []string{"true", "false"})
	case name == "order":
		return pick(rng, []string{`"any"`, `"before"`, `"after"`})
	case name == "per":
		return pick(rng, []string{`"pack"`, `"receipt"`})
	case name == "required_posture":
		return pick(rng, []string{`"CLEAN"`, `"DEBT_OUTSTANDING"`, `"UNKNOWN"`, "3", `"x"`})
	case name == "start":
		return pick(rng, []string{"0", "1", "null", "5"})
	case strings.HasPrefix(name, "min") || strings.HasPrefix(name, "max"):
		return pick(rng, []string{"0", "1", "2", "3", "0.5", "1.0", "0.25", "1e3", "10", "400", "0.1", "1e21", "true"})
	}
	return pick(rng, odd)
}

// TestPatternsThatCostTooMuchGiveUpAtTheSameReceipt: CLM-22 and CLM-23 say what is counted; both count alike, in the order
// in which receipts come to claims.
func TestPatternsThatCostTooMuchGiveUpAtTheSameReceipt(t *testing.T) {
	pattern := func(id, pattern, more string) string {
		return fmt.Sprintf(`{"claim_id":%q,"check":"field_matches","params":{"field_name":"x","pattern":%q%s}}`, id, pattern, more)
	}
	card := func(claims ...string) string {
		return `{"card_id":"x.y","name":"x","claims":[` + strings.Join(claims, ",") + `]}`
	}
	slow := cardCase{Card: card(pattern("t", "b{1000}c{900}", `,"receipt_type":"model_call"`), pattern("n", "a*b{999}", ""), pattern("any", "[^c]*", ""),
		pattern("t2", "(?:a{1000})*", `,"receipt_type":"model_call"`), pattern("t3", "[^c]*", `,"receipt_type":"refusal"`))}
	for i := range 24 {
		x := strconv.Quote(strings.Repeat("a", 65_530+i))
		if i%5 == 4 {
			x = `"a"`
		}
		slow.Receipts = append(slow.Receipts, fmt.Sprintf(`{"receipt_id":"r%d","type":%s,"timestamp":"t","x":%s}`, i, types[i/7%2], x))
	}
	large := func(claims ...string) cardCase {
		for i := range 128 {
			claims = append([]string{pattern(fmt.Sprint("large", i), "[acegikmoqsuwyACEG]{227}", "")}, claims...)
		}
		return cardCase{Card: card(claims...), Receipts: []string{}}
	}
	items := []cardCase{slow, large(pattern("fits", "[acegikmoqsuwyACEG]{60}", "")),
		large(pattern("too much", "[acegikmoqsuwyACEG]{61}", ""), pattern("behind it", "a", ""))}
	for i, answer := range askSecond[[][]string](t, serve(t), "card", items) {
		ours, gaveUp := items[i].ask(t), 0
		for j, row := range ours {
			if !slices.Equal(row, answer[j]) {
				t.Errorf("%q, and in the other verifier %q", row, answer[j])
			}
			if strings.HasPrefix(row[3], "gave up") || strings.HasPrefix(row[3], "param 'pattern' is too large") {
				gaveUp++
			}
		}
		if want := []int{5, 0, 2}[i]; gaveUp != want {
			t.Errorf("%d claims gave up, want %d", gaveUp, want)
		}
	}
}

// TestAPatternIsTooLargeForBothOrForNone: CLM-22, around the limit.
func TestAPatternIsTooLargeForBothOrForNone(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 192))
	var items []cardCase
	for len(items) < 300 {
		p := somePattern(rng, len(items)).Pattern
		tree, err := syntax.Parse(`\A(?:`+p+`)\z`, syntax.Perl)
		if err != nil || len(p) > 100 {
			continue
		}
		left := 8192 - elements(tree) + rng.IntN(40) - 20
		if left < 100 {
			continue
		}
		items = append(items, cardCase{Card: fmt.Sprintf(`{"card_id":"x.y","name":"x","claims":[{"claim_id":"c","check":"field_matches",`+
			`"params":{"field_name":"x","pattern":%q}}]}`, fmt.Sprintf("%s|[acegikmoqsuwyACEG]{%d}z{%d}", p, left/36, left%36/3)), Receipts: []string{}})
	}
	refused := 0
	for i, answer := range askSecond[[][]string](t, serve(t), "card", items) {
		ours := items[i].ask(t)
		if (ours == nil) != (answer == nil) {
			t.Errorf("%s: refused is %v, and in the other verifier %v", items[i].Card, ours == nil, answer == nil)
		}
		if ours == nil {
			refused++
		}
	}
	if refused < 50 || refused > 250 {
		t.Errorf("%d of 300 are refused", refused)
	}
}

// hashOf gives H(C(v)) of a JSON text.
func hashOf(t *testing.T, text string) string {
	t.Helper()
	canonical, err := jcs.Pack(nil, []byte(text), jcs.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(canonical))
}
