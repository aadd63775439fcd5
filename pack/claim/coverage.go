package claim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

const (
	maxContract = 32 << 20 // bytes of a coverage contract
	maxExtra    = 1000     // call sites outside the contract that a result names
)

// Contract is a coverage contract: the call sites that a scan of a program found, and
// that the receipts of its run are to name.
//
//	{"contract_version": "1.0", "generated_at": "…", "generated_by": "assay-scan", "project_root": "/src/app",
//	 "call_sites": [{"callsite_id": "bab787e3d70d", "path": "app.py", "line": 3, "call": "c.chat.completions.create",
//	   "confidence": "high", "instrumented": false, "framework": "openai"}],
//	 "summary": {"total_sites": 1, "high": 1, "medium": 0, "low": 0},
//	 "contract_hash": "f2886071…"}
type Contract struct {
	sites []string // distinct, sorted
	hash  string
}

var contractMembers = []form.Member{
	form.M("contract_version", form.OneOf("1.0")),
	form.M("generated_at", form.AnyString),
	form.M("generated_by", form.AnyString),
	form.M("project_root", form.AnyString),
	form.M("call_sites", form.List(0, form.Object(siteMembers))),
	form.M("summary", form.Object(contractSummary)),
	form.M("contract_hash", form.Hex64),
}

var siteMembers = []form.Member{
	form.M("callsite_id", form.Identifier),
	form.M("path", form.AnyString),
	form.M("line", form.Count),
	form.M("call", form.AnyString),
	form.M("confidence", form.OneOf("high", "medium", "low")),
	form.M("instrumented", form.Boolean),
	form.M("framework?", form.OrNull(form.AnyString)),
}

var contractSummary = []form.Member{form.M("total_sites", form.Count), form.M("high", form.Count), form.M("medium", form.Count), form.M("low", form.Count)}

// ErrContractAltered: a coverage contract, and its hash or count is not of the call sites that it has. Any
// other error of ParseContract is of a file that is no contract at all.
var ErrContractAltered = errors.New("the coverage contract was altered")

// ParseContract reads a coverage contract. The hash over its call sites is always recomputed. Two calls
// on one line have one id and count as one site.
func ParseContract(text []byte) (*Contract, error) {
	v, err := form.Parse(text, maxContract)
	if err != nil {
		return nil, fmt.Errorf("coverage contract: not strict JSON: %s", form.OneLine(err))
	}
	form.Object(contractMembers)("", v, func(problem string) {
		if err == nil {
			err = fmt.Errorf("coverage contract: %s", strings.TrimPrefix(problem, ": "))
		}
	})
	if err != nil {
		return nil, err
	}
	sites := form.Get(v, "call_sites")
	c := &Contract{hash: form.CanonicalHash(sites)}
	if c.hash != form.Str(v, "contract_hash") { // CLM-25
		return nil, fmt.Errorf("%w: contract_hash is not the hash of the call_sites", ErrContractAltered)
	}
	if n, _ := form.ReadCount(form.Get(form.Get(v, "summary"), "total_sites")); n != int64(len(sites.Items)) {
		return nil, fmt.Errorf("%w: summary.total_sites is %d, there are %d call_sites", ErrContractAltered, n, len(sites.Items))
	}
	for _, site := range sites.Items {
		c.sites = append(c.sites, strings.Clone(form.Str(site, "callsite_id")))
	}
	slices.Sort(c.sites)
	c.sites = slices.Compact(c.sites)
	return c, nil
}

// Hash is contract_hash, H(C(call_sites)): the identity of the contract, as a lock pins it.
func (c *Contract) Hash() string { return c.hash }

// Coverage compares the call sites of a contract with those that receipts name.
type Coverage struct {
	Share                     float64  // covered of all, 1 if there are none
	Covered, Uncovered, Extra []string // sorted; Extra: sites that only receipts name, at most 1,000
	MoreExtra                 bool     // Extra is not complete
}

// Sites is a check that every receipt is shown to, beside those of the claims.
type Sites struct {
	sites   map[string]bool // of the contract; true when a receipt named it
	covered int
	extra   map[string]bool
	more    bool
}

// Sites starts comparing receipts with the contract; nil without one.
func (c *Contract) Sites() *Sites {
	if c == nil {
		return nil
	}
	s := &Sites{sites: make(map[string]bool, len(c.sites)), extra: map[string]bool{}}
	for _, id := range c.sites {
		s.sites[id] = false
	}
	return s
}

func (s *Sites) add(r *receiptView) {
	v, _ := r.receipt.Get("callsite_id")
	if v.Kind != jcs.String {
		return
	}
	covered, listed := s.sites[v.Text]
	switch {
	case covered:
	case listed:
		s.sites[strings.Clone(v.Text)] = true
		s.covered++
	case len(v.Text) > 256 || len(s.extra) == maxExtra && !s.extra[v.Text]:
		s.more = true
	case !s.extra[v.Text]:
		s.extra[strings.Clone(v.Text)] = true
	}
}

func (s *Sites) answer() Result { return Result{} }

// Cover shows every receipt to s, and hands s to the coverage_contract claims of run, whatever path they
// name: which file the relying party calls its contract is no matter of the pack's.
func (run *Run) Cover(s *Sites) {
	run.everyType = append(run.everyType, s)
	for _, c := range run.canonical {
		if c, ok := c.(*contractCheck); ok {
			c.cover = s
		}
	}
}

// share is the covered part of the call sites, 1 if there are none.
func (s *Sites) share() float64 {
	if len(s.sites) == 0 {
		return 1
	}
	return float64(s.covered) / float64(len(s.sites))
}

// named are the call sites of the contract that receipts named, or those that none did, sorted.
func (s *Sites) named(covered bool) (ids []string) {
	for id, yes := range s.sites {
		if yes == covered {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Result is what came of the comparison so far.
func (s *Sites) Result() Coverage {
	r := Coverage{Share: s.share(), Covered: s.named(true), Uncovered: s.named(false), MoreExtra: s.more}
	for id := range s.extra {
		r.Extra = append(r.Extra, id)
	}
	slices.Sort(r.Extra)
	return r
}
