// Package lock is the lockfile: what a repository expects of its packs, under review like code. Parse reads
// one, New makes one, Diff says in words what a change of it demands more and less. A pack is held to it by
// pack.Verify with Options.Lock.
package lock

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/receipt"
	"github.com/Haserjian/assay-ledger/trust"
)

// CompatVersion is the release of the reference tool that this verifier counts as when a lockfile
// bounds the version. It is not our own version.
const CompatVersion = "1.24.0"

// The window that our own locks give: every release of the reference tool that reads what we write.
const (
	lockVersionMin = "1.19.0"
	lockVersionMax = "2.0.0"
)

const maxLock = 1 << 20 // bytes of a lockfile

// Lock is a lockfile: what a repository expects of its packs, under review like code.
//
//	{
//	  "lock_version": "1.0",
//	  "assay_version_min": "1.19.0",
//	  "assay_version_max": "2.0.0",
//	  "pack_format_version": "0.1.0",
//	  "receipt_schema_version": "3.0",
//	  "run_cards": [
//	    {"id": "receipt_completeness", "name": "Receipt Completeness", "claim_set_hash": "0b9affe4…"},
//	    {"id": "acme.calls", "name": "Enough calls", "claim_set_hash": "…", "claims": [{…}]}
//	  ],
//	  "run_cards_composite_hash": "…",
//	  "claim_set_hash": "…",
//	  "exit_contract": {"0": "integrity_pass AND claims_pass", "1": …, "2": …},
//	  "signer_policy": {"mode": "allowlist", "allowed_fingerprints": ["0d54f48d…"]},
//	  "coverage_contract_hash": "…",
//	  "locked_at": "2026-01-15T10:00:00+00:00",
//	  "locked_by_assay_version": "0.1.0"
//	}
//
// Two members are ours. The claims of a card that is not built in stand in the lock, so that it can be
// reviewed and executed by itself; the reference tool refuses such cards. coverage_contract_hash, which
// may be absent, pins the coverage contract that a verification must be given.
//
// A Lock does not change. Get one from Parse or New.
type Lock struct {
	value jcs.Value
	text  []byte
	cards []claim.Card
}

// Error says every rule that a lockfile breaks, each as one line of printable ASCII.
type Error struct{ Issues []string }

// Error is all issues in one line.
func (e *Error) Error() string { return "lockfile: " + strings.Join(e.Issues, "; ") }

func (e *Error) add(issue string) {
	if issue = strings.TrimPrefix(issue, ": "); len(e.Issues) < manifest.MaxFindings {
		e.Issues = append(e.Issues, issue)
	}
}

// members is lock.md §1, in its order. The reference reads some of them as optional, but every
// release since 1.19 writes all; what is deleted from a lock must not make it a weaker one
// (threats.md P19), and what nobody knows is not skipped over.
var members = []form.Member{
	form.M("lock_version", form.OneOf("1.0")),
	form.M("assay_version_min", release),
	form.M("assay_version_max", release),
	form.M("pack_format_version", form.Text("a version such as "+manifest.PackFormat, func(s string) bool { return formatForm().MatchString(s) })),
	form.M("receipt_schema_version", form.OneOf("3.0")),
	// Without a card the hashes below would be of nothing (threats.md K02): a lock names at least one (LCK-3).
	form.M("run_cards", form.List(1, form.Object(cardMembers))),
	form.M("run_cards_composite_hash", form.Hex64),
	form.M("claim_set_hash", form.Hex64),
	form.M("exit_contract", form.Object(exitContract)),
	form.M("signer_policy", form.Object(signerPolicy)),
	form.M("coverage_contract_hash?", form.Hex64),
	form.M("locked_at", form.DateTime),
	form.M("locked_by_assay_version", form.Version),
}

var cardMembers = []form.Member{
	form.M("id", form.Identifier),
	form.M("name", form.NonEmpty),
	form.M("claim_set_hash", form.Hex64),
	form.M("claims?", form.List(1, form.AnyValue)), // readCard reads them
}

// exitContract is the text that the reference writes into every lock, and no other is read. What a verifier really
// does is more: drift from the lock is 2 as well, and failed claims are 1 only where they are required.
var exitContract = []form.Member{
	form.M("0", form.OneOf("integrity_pass AND claims_pass")),
	form.M("1", form.OneOf("integrity_pass AND claims_fail")),
	form.M("2", form.OneOf("integrity_fail")),
}

var signerPolicy = []form.Member{
	form.M("mode", form.OneOf("any", "allowlist")),
	form.M("allowed_fingerprints", form.List(0, form.Hex64)),
}

// Parse reads and validates a lockfile. Nothing about packs is decided here, except that a lock
// whose version window excludes CompatVersion is refused. An error is a *Error.
func Parse(text []byte) (*Lock, error) {
	broken := new(Error)
	v, err := form.Parse(text, maxLock)
	if err != nil {
		broken.add("not strict JSON: " + form.OneLine(err))
		return nil, broken
	}
	l := &Lock{value: v, text: bytes.Clone(text)}
	if form.Object(members)("", v, broken.add); len(broken.Issues) == 0 {
		l.readCards(broken)
		l.checkVersions(broken)
		l.checkSigners(broken)
	}
	if len(broken.Issues) > 0 {
		return nil, broken
	}
	return l, nil
}

// readCards recomputes every hash, whatever the lock says (LCK-4).
func (l *Lock) readCards(broken *Error) {
	hashes, known := jcs.Arr(), map[string]string{}
	for i, entry := range form.Get(l.value, "run_cards").Items {
		at := "run_cards[" + strconv.Itoa(i) + "]"
		card, err := readCard(entry)
		if err != nil {
			broken.add(at + ": " + form.OneLine(err))
			return
		}
		hash := claim.SetHash([]claim.Card{card})
		if hash != form.Str(entry, "claim_set_hash") {
			broken.add(at + ".claim_set_hash: the claims of " + form.Quote(card.ID) + " have the hash " + hash)
		}
		if before, ok := known[card.ID]; ok && before != hash { // LCK-8
			broken.add(at + ".id: " + form.Quote(card.ID) + " stands for two sets of claims")
		}
		known[card.ID] = hash
		hashes.Items = append(hashes.Items, jcs.Str(hash))
		if l.cards = append(l.cards, card); claim.Count(l.cards) > claim.MaxClaims { // LCK-9
			broken.add(fmt.Sprintf("run_cards: more than %d claims", claim.MaxClaims))
			return
		}
	}
	if form.CanonicalHash(hashes) != form.Str(l.value, "run_cards_composite_hash") {
		broken.add("run_cards_composite_hash: not the hash of the run_cards")
	}
	if claim.SetHash(l.cards) != l.ClaimSetHash() {
		broken.add("claim_set_hash: not the hash of the claims of the run_cards")
	}
}

// readCard is the card that an entry of run_cards stands for.
func readCard(entry jcs.Value) (claim.Card, error) {
	id, name := form.Str(entry, "id"), form.Str(entry, "name")
	claims, own := entry.Get("claims")
	if twin := claim.Lookalike(id); twin != "" { // LCK-6
		return claim.Card{}, fmt.Errorf("id %s looks like the built-in %s, and is another: name it otherwise", form.Quote(id), twin)
	}
	if !claim.PlainID(id) {
		return claim.Card{}, fmt.Errorf("id %s: expected letters, digits, '.', '_' and '-'", form.Quote(id))
	}
	for _, builtin := range claim.BuiltinCards() {
		switch {
		case builtin.ID != id:
		case own: // LCK-5
			return claim.Card{}, fmt.Errorf("%s is built in and takes no claims from a lock", id)
		case builtin.Name != name:
			return claim.Card{}, fmt.Errorf("name %s: the built-in %s is called %q", form.Quote(name), id, builtin.Name)
		default:
			return builtin, nil
		}
	}
	if !own {
		return claim.Card{}, fmt.Errorf("%s is not built in, and its claims are not in the lock", form.Quote(id))
	}
	// K07: claim.CardOf refuses a claim that names a file outside the project; no card reads one anyway.
	card, err := claim.CardOf(jcs.Obj(jcs.M("card_id", jcs.Str(id)), jcs.M("name", jcs.Str(name)), jcs.M("claims", claims)))
	if err != nil {
		return claim.Card{}, err
	}
	for i, c := range card.Claims {
		// What is reviewed is what is hashed: no member left out, none that is read over (LCK-7).
		if form.CanonicalHash(claims.Items[i]) != form.CanonicalHash(c.Value()) {
			return claim.Card{}, fmt.Errorf("claims[%d] is not written out as claim_id, description, check, params, severity", i)
		}
	}
	return card, nil
}

func (l *Lock) checkVersions(broken *Error) { // LCK-10
	here, _ := parseRelease(CompatVersion)
	least, _ := parseRelease(form.Str(l.value, "assay_version_min"))
	most, _ := parseRelease(form.Str(l.value, "assay_version_max"))
	if slices.Compare(here[:], least[:]) < 0 {
		broken.add("assay_version_min: this verifier counts as " + CompatVersion + ", which is older")
	}
	if slices.Compare(here[:], most[:]) >= 0 {
		broken.add("assay_version_max: this verifier counts as " + CompatVersion + ", which is not older")
	}
}

func (l *Lock) checkSigners(broken *Error) {
	policy := form.Get(l.value, "signer_policy")
	list := form.Get(policy, "allowed_fingerprints").Items
	if form.Str(policy, "mode") == "any" && len(list) > 0 {
		// One reader sees the list, the other the mode (LCK-11, threats.md K01).
		broken.add("signer_policy: mode any with a list of fingerprints; which of the two is meant?")
	}
	known := map[string]bool{}
	for i, item := range list {
		at := fmt.Sprintf("signer_policy.allowed_fingerprints[%d]", i)
		if known[item.Text] { // LCK-12
			broken.add(at + ": was there before")
		}
		known[item.Text] = true
		if smallOrderFingerprint(form.Digest(item.Text)) {
			broken.add(at + ": the key with this fingerprint has small order: anybody can sign for it")
		}
	}
}

// Marshal is the file, as it was read or is to be written.
func (l *Lock) Marshal() []byte { return bytes.Clone(l.text) }

// Digest is SHA-256 of the file: the verifier_config_sha256 of a report.
func (l *Lock) Digest() trust.Digest { return sha256.Sum256(l.text) }

// Cards are the run cards in the order in which packs must declare them.
func (l *Lock) Cards() []claim.Card { return slices.Clone(l.cards) }

// ClaimSetHash is what a pack must declare: the hash over the claims of all cards.
func (l *Lock) ClaimSetHash() string { return form.Str(l.value, "claim_set_hash") }

// CompositeHash is run_cards_composite_hash: the hash over the hashes of the cards.
func (l *Lock) CompositeHash() string { return form.Str(l.value, "run_cards_composite_hash") }

// PackFormat is the pack_format_version that a pack must have.
func (l *Lock) PackFormat() string { return form.Str(l.value, "pack_format_version") }

// ContractHash is the contract_hash of the coverage contract that a verification must be given,
// "" if the lock pins none.
func (l *Lock) ContractHash() string { return form.Str(l.value, "coverage_contract_hash") }

// Signers are those that may sign.
func (l *Lock) Signers() Signers {
	policy := form.Get(l.value, "signer_policy")
	if form.Str(policy, "mode") == "any" {
		return Signers{}
	}
	s := Only()
	for _, item := range form.Get(policy, "allowed_fingerprints").Items {
		s.keys = append(s.keys, form.Digest(item.Text))
	}
	return s
}

// Spec is what a new lock pins.
type Spec struct {
	Cards    []claim.Card    // at least one, in the order in which packs declare them
	Signers  Signers         // who may sign; the zero value: any key
	Contract *claim.Contract // the coverage contract to verify with; nil: none is pinned
	At       time.Time       // locked_at; required
}

// New makes a lock: two spaces, one newline at the end, the members in their order.
// It refuses what Parse would.
func New(s Spec) (*Lock, error) {
	if s.At.IsZero() {
		return nil, errors.New("lock: the time is required")
	}
	entries, hashes := jcs.Arr(), jcs.Arr()
	for _, card := range s.Cards {
		hash := jcs.Str(claim.SetHash([]claim.Card{card}))
		hashes.Items = append(hashes.Items, hash)
		entry := jcs.Obj(jcs.M("id", jcs.Str(card.ID)), jcs.M("name", jcs.Str(card.Name)), jcs.M("claim_set_hash", hash))
		if !slices.ContainsFunc(claim.BuiltinCards(), func(c claim.Card) bool { return c.ID == card.ID }) {
			entry.Members = append(entry.Members, jcs.M("claims", form.Get(card.Definition(), "claims")))
		}
		entries.Items = append(entries.Items, entry)
	}
	v := jcs.Obj(
		jcs.M("lock_version", jcs.Str("1.0")),
		jcs.M("assay_version_min", jcs.Str(lockVersionMin)),
		jcs.M("assay_version_max", jcs.Str(lockVersionMax)),
		jcs.M("pack_format_version", jcs.Str(manifest.PackFormat)),
		jcs.M("receipt_schema_version", jcs.Str("3.0")),
		jcs.M("run_cards", entries),
		jcs.M("run_cards_composite_hash", jcs.Str(form.CanonicalHash(hashes))),
		jcs.M("claim_set_hash", jcs.Str(claim.SetHash(s.Cards))),
		jcs.M("exit_contract", form.Strs(
			"0", "integrity_pass AND claims_pass",
			"1", "integrity_pass AND claims_fail",
			"2", "integrity_fail")),
		jcs.M("signer_policy", policyValue(s.Signers)))
	if s.Contract != nil {
		v.Members = append(v.Members, jcs.M("coverage_contract_hash", jcs.Str(s.Contract.Hash())))
	}
	return finish(v, s.At)
}

// WithSigners is the lock with another allowlist, and nothing else changed but when and by whom it was
// locked.
func (l *Lock) WithSigners(signers Signers, at time.Time) (*Lock, error) {
	v := l.value.Without("locked_at", "locked_by_assay_version")
	v.Members = slices.Clone(v.Members)
	for i := range v.Members {
		if v.Members[i].Name == "signer_policy" {
			v.Members[i].Value = policyValue(signers)
		}
	}
	return finish(v, at)
}

func policyValue(signers Signers) jcs.Value {
	mode, list := "allowlist", jcs.Arr()
	if signers.Any() {
		mode = "any"
	}
	for _, f := range signers.keys {
		list.Items = append(list.Items, jcs.Str(f.String()))
	}
	return jcs.Obj(jcs.M("mode", jcs.Str(mode)), jcs.M("allowed_fingerprints", list))
}

// finish adds when and by whom, and reads back what it wrote.
func finish(v jcs.Value, at time.Time) (*Lock, error) {
	v.Members = append(slices.Clone(v.Members),
		jcs.M("locked_at", jcs.Str(at.UTC().Format(receipt.TimeForm))),
		jcs.M("locked_by_assay_version", jcs.Str(manifest.Version)))
	text, err := jcs.AppendPretty(nil, v)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	return Parse(append(text, '\n'))
}

// KeyFingerprint is SHA-256 of a public key that an allowlist may name. It refuses keys for which one
// signature fits every pack.
func KeyFingerprint(pub ed25519.PublicKey) (trust.Digest, error) { // threats.md K08
	if err := trust.CheckEd25519Key(pub); err != nil {
		return trust.Digest{}, err
	}
	return sha256.Sum256(pub), nil
}

// smallOrder are the keys of LCK-13, the sign bit cleared.
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
}

// smallOrderFingerprint reports whether f is the fingerprint of a key of small order. Verification
// refuses such keys anyway; a lock that names one is refused as well, because somebody meant harm.
func smallOrderFingerprint(f trust.Digest) bool {
	for _, y := range smallOrder {
		key := form.Digest(y)
		for range 2 {
			if sha256.Sum256(key[:]) == f {
				return true
			}
			key[31] ^= 0x80
		}
	}
	return false
}

// release is a version as the reference tool numbers its releases.
var release = form.Text("a release such as "+CompatVersion, func(s string) bool { _, ok := parseRelease(s); return ok })

// Compiled by who reads a lock: most runs read none.
var (
	formatForm  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}$`) })
	releaseForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([0-9]{1,6}(?:\.[0-9]{1,6}){0,4})(?:(a|b|rc)([0-9]{1,6}))?(?:\.post([0-9]{1,6}))?(?:\.dev([0-9]{1,6}))?$`)
	})
)

// parseRelease gives a version of PEP 440, without epoch and local part, as numbers in its order:
// five of the release, then those of the pre-release, the post-release and the development release.
func parseRelease(s string) (key [9]int, ok bool) {
	if len(s) > 64 {
		return key, false
	}
	parts := releaseForm().FindStringSubmatch(s)
	if parts == nil {
		return key, false
	}
	number := func(digits string, absent int) int {
		if digits == "" {
			return absent
		}
		n, _ := strconv.Atoi(digits) // at most six digits
		return n
	}
	for i, n := range strings.Split(parts[1], ".") {
		key[i] = number(n, 0)
	}
	post, dev := number(parts[4], -1), number(parts[5], 1<<30)
	// "1.0.dev1 < 1.0a1 < 1.0b1 < 1.0rc1 < 1.0 < 1.0.post1"
	pre := map[string]int{"a": 1, "b": 2, "rc": 3, "": 4}[parts[2]]
	if parts[2] == "" && post < 0 && parts[5] != "" {
		pre = 0
	}
	key[5], key[6], key[7], key[8] = pre, number(parts[3], 0), post, dev
	return key, true
}
