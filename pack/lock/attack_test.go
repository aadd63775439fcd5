package lock

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/trust"
)

func refuseLock(t *testing.T, what, text, want string) {
	t.Helper()
	_, err := Parse([]byte(text))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// A reviewer reads the allowlist, a parser that takes the last of two members reads "any".
// LCK-1, LCK-11
func TestAtk_K01_ASecondSignerPolicyIsRefusedHoweverItIsSpelled(t *testing.T) {
	text := string(wholeLock(t).Marshal())
	const open = `"signer_policy": {`
	for _, extra := range []string{
		`"signer_policy": {"mode": "any", "allowed_fingerprints": []},`,
		`"signer_\u0070olicy": {"mode": "any", "allowed_fingerprints": []},`,
	} {
		refuseLock(t, "before", strings.Replace(text, open, extra+open, 1), "second member named")
		refuseLock(t, "after", strings.Replace(text, `"locked_at"`, extra+`"locked_at"`, 1), "second member named")
	}
	refuseLock(t, "a mode twice", strings.Replace(text, `"mode": "allowlist"`, `"mode": "allowlist", "mode": "any"`, 1), "second member named")
	for _, name := range []string{"Signer_policy", "SIGNER_POLICY", "\u017figner_policy", "signer_policy ", "signer\\u200b_policy"} {
		refuseLock(t, name, strings.Replace(text, `"locked_at"`, `"`+name+`": {"mode": "any", "allowed_fingerprints": []}, "locked_at"`, 1), "unknown member")
	}
	refuseLock(t, "any with a list", strings.Replace(text, `"mode": "allowlist"`, `"mode": "any"`, 1), "mode any with a list")
}

// LCK-3
func TestAtk_K02_ALockWithoutCardsIsRefusedWhateverItsHashes(t *testing.T) {
	l := wholeLock(t)
	for _, hash := range []string{
		l.ClaimSetHash(),
		"140bedbf9c3f6d56a9846d2ba7088798683f4da0c248231336e6a05679e4fdfe", // H("none")
		"4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945", // H("[]")
	} {
		v := jcstest.Set(jcstest.Set(l.value, "run_cards", jcs.Arr()), "claim_set_hash", jcs.Str(hash))
		v = jcstest.Set(v, "run_cards_composite_hash", jcs.Str("4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"))
		refuseLock(t, hash, string(jcstest.Plain(v)), "run_cards: not a list of 1 or more")
	}
	if _, err := Parse(sharedLock(t, "weak_empty_run_cards.lock")); err == nil {
		t.Error("the reference's weak lock is accepted")
	}
}

// CLM-8, LCK-4, LCK-5, LCK-7
func TestAtk_K04_ABuiltInCardCannotBeShadowed(t *testing.T) {
	l := mustLock(t, Spec{Cards: []claim.Card{packtest.CallsCard(t)}})
	other := packtest.CallsCard(t).Claims[0].Value()
	forge := func(id, name string, members ...jcs.Member) string {
		entry := jcs.Obj(append([]jcs.Member{jcs.M("id", jcs.Str(id)), jcs.M("name", jcs.Str(name)),
			jcs.M("claim_set_hash", jcs.Str(form.CanonicalHash(jcs.Arr(other))))}, members...)...)
		v := jcstest.Set(l.value, "run_cards", jcs.Arr(entry))
		v = jcstest.Set(v, "claim_set_hash", jcs.Str(form.CanonicalHash(jcs.Arr(other))))
		v = jcstest.Set(v, "run_cards_composite_hash", jcs.Str(form.CanonicalHash(jcs.Arr(jcs.Str(form.CanonicalHash(jcs.Arr(other)))))))
		return string(jcstest.Plain(v))
	}
	claims := jcs.M("claims", jcs.Arr(other))
	if _, err := Parse([]byte(forge("acme.calls", "Calls", claims))); err != nil {
		t.Fatal(err) // all hashes are consistent
	}
	refuseLock(t, "other claims", forge("receipt_completeness", "Receipt Completeness", claims), "takes no claims from a lock")
	refuseLock(t, "other hash", forge("receipt_completeness", "Receipt Completeness"), "have the hash")
	refuseLock(t, "another case", forge("Receipt_Completeness", "Receipt Completeness", claims), "looks like the built-in receipt_completeness")
	refuseLock(t, "a homoglyph", forge("r\u0435ceipt_completeness", "Receipt Completeness", claims), "printable ASCII")
	refuseLock(t, "a zero width space", forge("receipt_completeness\u200b", "Receipt Completeness", claims), "printable ASCII")
	refuseLock(t, "no definition", forge("acme.calls", "Calls"), "its claims are not in the lock")

	// A built-in under another built-in's name misleads who reviews it.
	text := string(mustLock(t, Spec{Cards: claim.BuiltinCards()[1:2]}).Marshal())
	refuseLock(t, "another name", strings.Replace(text, "Receipt Completeness", "Guardian Enforcement", 1), "is called")

	// What is read over would be reviewed and not hashed.
	for _, extra := range []string{`"falsifier": {}`, `"claim_Id": "x"`} {
		refuseLock(t, extra, strings.Replace(string(l.Marshal()), `"claim_id": "two"`, extra+`, "claim_id": "two"`, 1), "run_cards[0]: ")
	}
	refuseLock(t, "a default left out", strings.Replace(string(l.Marshal()), `"description": "",`, "", 1), "not written out")
}

func TestAtk_K07_ALockedCardNamesNoFileOfTheHost(t *testing.T) {
	good := `{"card_id":"c","name":"C","claims":[{"claim_id":"x","check":"coverage_contract","params":{"contract_path":"PATH"}}]}`
	card, err := claim.ParseCard([]byte(strings.Replace(good, "PATH", "cov.json", 1)))
	if err != nil {
		t.Fatal(err)
	}
	text := mustLock(t, Spec{Cards: []claim.Card{card}}).Marshal()
	for _, path := range []string{"../cov.json", "/etc/passwd", "a/../../b", "C:\\\\x"} {
		forged := bytes.Replace(text, []byte(`"cov.json"`), []byte(`"`+path+`"`), 1)
		refuseLock(t, path, string(forged), "leads out of the directory")
	}
}

// LCK-13
func TestAtk_K08_KeysOfSmallOrderAreNotAllowlisted(t *testing.T) {
	l := mustLock(t, Spec{Cards: claim.BuiltinCards()[1:2]})
	for _, y := range smallOrder {
		key := form.Digest(y)
		for range 2 {
			if _, err := KeyFingerprint(key[:]); err == nil {
				t.Errorf("key %x has a fingerprint for a lock", key)
			}
			if _, err := l.WithSigners(Only(form.Digest(form.HexSum(key[:]))), builtAt); err == nil {
				t.Errorf("the fingerprint of %x is allowlisted", key)
			}
			key[31] ^= 0x80
		}
	}
	if f, err := KeyFingerprint(testSigner.Public()); err != nil || f.String() != form.HexSum(testSigner.Public()) {
		t.Errorf("an honest key: %s, %v", f, err)
	}
	needShared(t)
	text, err := os.ReadFile(filepath.Join(sharedPacks, "../third-party/ed25519-cctv/ed25519vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Key   string
		Flags []string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	refused := map[string]bool{}
	for _, v := range vectors {
		flags := strings.Join(v.Flags, " ")
		if !strings.Contains(flags, "low_order_A") && !strings.Contains(flags, "low_order_component_A") && !strings.Contains(flags, "non_canonical_A") {
			continue
		}
		key, err := hex.DecodeString(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		if refused[v.Key] = true; len(key) == 32 {
			if _, err := KeyFingerprint(key); err == nil {
				t.Errorf("key %s (%s) is accepted", v.Key, flags)
			}
		}
	}
	if len(refused) < 20 {
		t.Errorf("only %d edge keys were tried", len(refused))
	}
}

// What a change under review takes away from a lock is said, whatever it adds beside.
func TestAtk_K05_AWeakerLockIsToldFromItsBase(t *testing.T) {
	base := wholeLock(t)
	signers := base.Signers()
	for what, s := range map[string]Spec{
		"a card less":         {Cards: append(claim.BuiltinCards(), claim.BuiltinCards()[0])[2:], Signers: signers},
		"any signer":          {Cards: base.Cards()},
		"one signer more":     {Cards: append(claim.BuiltinCards(), base.Cards()...), Signers: signers.With(trust.Digest{1})},
		"another signer":      {Cards: base.Cards(), Signers: Only(trust.Digest{1})},
		"no contract":         {Cards: base.Cards(), Signers: signers},
		"another contract":    {Cards: base.Cards(), Signers: signers, Contract: packtest.Contract(t, "x")},
		"nobody, but no card": {Cards: base.Cards()[:1], Signers: Only()},
	} {
		changes := Diff(base, mustLock(t, s))
		if len(changes) == 0 || changes[0].Effect != Weaker {
			t.Errorf("%s: %v", what, changes)
		}
	}
}
