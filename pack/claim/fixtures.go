package claim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

// Problems says what keeps a card from being one to rely on, one sentence each; none means that it is:
// every claim can be asked as it is meant and judged again by a stranger, and, unless bare, a rationale
// says why, and fixtures show each claim pass and fail. What the fixtures come to is for Test to say.
func (c Card) Problems(bare bool) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	ids := map[string]bool{}
	for i, claim := range c.Claims {
		if ids[claim.ID] {
			add("claim %d: %s is the id of an earlier claim", i+1, form.Quote(claim.ID))
		}
		ids[claim.ID] = true
		if problem := claim.problem(); problem != "" {
			add("claim %s: %s", form.Quote(claim.ID), problem)
		}
		if claim.Check == CoverageCheck {
			add("claim %s: %s reads a file that no pack carries, so that nobody else can judge it again", form.Quote(claim.ID), CoverageCheck)
		}
	}
	for _, x := range slices.Concat(c.Pass, c.Fail) {
		if _, err := x.packed(); err != nil {
			add("fixture %s: %v", form.Quote(x.Name), err)
		}
	}
	if bare {
		return problems
	}
	if text := strings.TrimSpace(c.Rationale); text == "" || strings.HasPrefix(text, "TODO") {
		add("no rationale says why these claims are wanted")
	}
	if len(c.Pass) == 0 {
		add("no pass fixture shows the claims hold")
	}
	for _, claim := range c.Claims {
		if !slices.ContainsFunc(c.Fail, func(x Fixture) bool { return slices.Contains(x.Fails, claim.ID) }) {
			add("no fail fixture shows claim %s fail", form.Quote(claim.ID))
		}
	}
	return problems
}

// FixtureResult is what a fixture came to.
type FixtureResult struct {
	Name       string
	ShouldPass bool  // it is one of Card.Pass
	Err        error // the receipts are none that a pack can hold; nothing was judged
	Results    []Result
	Wrong      []string // ids of claims that pass where they should fail, or the other way round
}

// OK reports whether every claim came out as the fixture says.
func (r FixtureResult) OK() bool { return r.Err == nil && len(r.Wrong) == 0 }

// Test judges the claims on every fixture.
func (c Card) Test() (rs []FixtureResult) {
	for i, x := range slices.Concat(c.Pass, c.Fail) {
		r := FixtureResult{Name: x.Name, ShouldPass: i < len(c.Pass)}
		var receipts []jcs.Value
		if receipts, r.Err = x.packed(); r.Err == nil {
			run := NewRun(c.Claims)
			for _, receipt := range receipts {
				run.Add(receipt)
			}
			r.Results = run.Results()
		}
		for _, result := range r.Results {
			if result.Passed == slices.Contains(x.Fails, result.ClaimID) {
				r.Wrong = append(r.Wrong, result.ClaimID)
			}
		}
		rs = append(rs, r)
	}
	return rs
}

// packed is the receipts as a pack would hold them: complete, projected, in pack order. It refuses what
// no pack can hold, because a card that was tried on such receipts was not tried.
func (x Fixture) packed() ([]jcs.Value, error) {
	type keyed struct {
		receipt.SortKey
		receipt jcs.Value
	}
	all := make([]keyed, len(x.Receipts))
	ids := map[string]bool{}
	for i, r := range x.Receipts {
		if err := receipt.CheckData(r); err != nil {
			return nil, fmt.Errorf("receipt %d: %w", i, err)
		}
		r = completed(r, i)
		c := receipt.CoreOf(&r)
		r = receipt.Packed(&r, &c)
		c = receipt.CoreOf(&r)
		err := x.check(&c)
		if err == nil && ids[c.ID] {
			err = fmt.Errorf("receipt_id %s is another receipt's", form.Quote(c.ID))
		}
		if err != nil {
			return nil, fmt.Errorf("receipt %d: %w", i, err)
		}
		ids[c.ID] = true
		all[i] = keyed{receipt.SortKey{Seq: jcs.Int(0), ID: c.ID}, r}
		if c.Seq != nil {
			all[i].Seq = *c.Seq
		}
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		order, _ := a.Compare(&b.SortKey) // integers all: always ordered
		return order
	})
	receipts := make([]jcs.Value, len(all))
	for i, k := range all {
		receipts[i] = k.receipt
	}
	return receipts, nil
}

func (Fixture) check(c *receipt.Core) error {
	switch name := c.Missing(); {
	case name != "":
		return fmt.Errorf("%s is empty or not a string", name)
	case !receipt.PackedType(c.Type):
		return fmt.Errorf("type %s is not admitted to packs", form.Quote(c.Type))
	case !receipt.IsTime(c.Timestamp):
		return fmt.Errorf("timestamp %s is not ISO 8601", form.Quote(c.Timestamp))
	}
	if c.Seq != nil {
		if _, ok := c.Seq.Int64(); !ok {
			return errors.New("seq is not an integer")
		}
	}
	return nil
}

// completed adds the members without which there is no receipt, if they are not there. The ids sort as
// the receipts stand.
func completed(r jcs.Value, i int) jcs.Value {
	members := slices.Clone(r.Members)
	for _, m := range []jcs.Member{
		jcs.M("receipt_id", jcs.Str(fmt.Sprintf("r_%04d", i))),
		jcs.M("type", jcs.Str("model_call")),
		jcs.M("timestamp", jcs.Str(fmt.Sprintf("2026-01-15T11:%02d:%02d.000000+00:00", i/60, i%60))),
	} {
		if _, ok := r.Get(m.Name); !ok {
			members = append(members, m)
		}
	}
	return jcs.Obj(members...)
}

// NewCard is a card to start from: its fixtures hold, its rationale is still to be written.
func NewCard(id string) Card {
	call := func(model string) jcs.Value { return jcs.Obj(jcs.M("model_id", jcs.Str(model))) }
	return Card{
		ID: id, Name: id,
		Description: "Every model call goes to a model that was approved.",
		Rationale:   "TODO: which risk these claims answer, who decided on them, and when they are looked at again.",
		Claims: []Claim{{
			ID: "approved_models", Description: "Every model_call names an approved model",
			Check: "model_allowlist", Severity: "critical",
			Params: jcs.Obj(jcs.M("allowed", jcs.Arr(jcs.Str("gpt-4o"), jcs.Str("gpt-4o-*")))),
		}},
		Pass: []Fixture{{Name: "approved models", Receipts: []jcs.Value{call("gpt-4o"), call("gpt-4o-mini")}}},
		Fail: []Fixture{{Name: "one that was not approved", Receipts: []jcs.Value{call("gpt-4o"), call("gpt-3")}, Fails: []string{"approved_models"}}},
	}
}
