package pack

import (
	"encoding/hex"
	"slices"
)

// This file compares a pack with what the relying party said it expects: of its age and its CI run
// (findings like any other, pack.md §4.2 l-n), of the lock and the signer (drift), and of its expiry.
// What is asked for and cannot be told, because no time was given, does not hold.

// stale is pack.md §4.2 l.
func (v *verifier) stale() {
	switch end, ok := parseSchemaTime(v.m.Attestation.TimestampEnd); {
	case v.o.MaxAge == 0:
	case v.o.Now.IsZero():
		v.found.add(eStale, "timestamp_end", "an age was asked for, and no time was given to tell it by")
	case !ok || v.o.Now.Sub(end) > v.o.MaxAge:
		v.found.add(eStale, "timestamp_end", "timestamp_end %s is more than %s ago", quote(v.m.Attestation.TimestampEnd), v.o.MaxAge)
	}
}

// ci is pack.md §4.2 n.
func (v *verifier) ci() {
	if !v.o.RequireCI && v.o.CommitSHA == "" {
		return
	}
	binding := v.m.Attestation.CIBinding
	if binding == nil {
		v.found.add(eNoCI, "ci_binding", "the pack does not say which CI run built it")
	} else if v.o.CommitSHA != "" && binding.CommitSHA != v.o.CommitSHA {
		v.found.add(eOtherCI, "ci_binding.commit_sha", "commit_sha is %s, expected %s", quote(binding.CommitSHA), quote(v.o.CommitSHA))
	}
}

// drift is "pack vs lock" of pack.md §6, and who may have signed. It says what is known of a pack whose
// integrity fails too; only a pack that is intact can be PASS or pinned.
func (v *verifier) drift() {
	r := v.r
	if v.m == nil {
		return
	}
	var found findings
	if v.o.Lock != nil {
		v.compareLock(&found)
	}
	if len(found) > 0 {
		r.Lock = Fail
	} else if v.o.Lock != nil && r.Integrity == Pass {
		r.Lock = Pass
	}
	signer := v.m.SignerFingerprint()
	trusted := v.o.TrustedSigners
	if trusted != nil && !slices.Contains(trusted, signer) {
		found.add(eSigner, "signer_pubkey_sha256", "the key %s that signed is none of the trusted ones", hex.EncodeToString(signer[:]))
	}
	r.LockFindings = found
	// Other drift does not make the signer somebody else.
	if stranger := slices.ContainsFunc(found, func(f Finding) bool { return f.Code == eSigner }); r.Integrity == Pass && !stranger {
		r.Pinned = trusted != nil
		if v.o.Lock != nil {
			_, any := v.o.Lock.Signers()
			r.Pinned = r.Pinned || !any
		}
	}
}

func (v *verifier) compareLock(found *findings) {
	l, attestation := v.o.Lock, get(v.m.value, "attestation")
	if got := str(attestation, "pack_format_version"); got != l.PackFormat() {
		found.add(eLock, "pack_format_version", "pack_format_version is %s, the lock says %s", quote(got), quote(l.PackFormat()))
	}
	// Both copies: the reference compares the manifest's only, so that a signer can split them.
	for i, got := range []string{str(v.m.value, "claim_set_hash"), str(attestation, "claim_set_hash")} {
		if name := []string{"claim_set_hash", "attestation.claim_set_hash"}[i]; got != l.ClaimSetHash() {
			found.add(eLock, name, "the pack declares other claims than the lock: %s is %s, the lock says %s", name, got, l.ClaimSetHash())
		}
	}
	signer := v.m.SignerFingerprint()
	if allowed, any := l.Signers(); !any && !slices.Contains(allowed, signer) {
		found.add(eSigner, "signer_pubkey_sha256", "the key %s that signed is not in the lock's allowlist", hex.EncodeToString(signer[:]))
	}
	switch want := l.ContractHash(); {
	case want == "":
	case v.o.Contract == nil:
		found.add(eLock, "coverage_contract_hash", "the lock pins the coverage contract %s, and none was given", want)
	case v.o.Contract.Hash() != want:
		found.add(eLock, "coverage_contract_hash", "the coverage contract given is %s, the lock pins %s", v.o.Contract.Hash(), want)
	}
}

// expiry judges valid_until of an intact pack. One that is null never passes.
func (v *verifier) expiry() {
	until := v.m.Attestation.ValidUntil
	if !v.o.CheckExpiry || until == "" {
		return
	}
	v.r.Expiry = Fail
	if end, ok := parseSchemaTime(until); ok && !v.o.Now.IsZero() && !v.o.Now.After(end) {
		v.r.Expiry = Pass
	}
}
