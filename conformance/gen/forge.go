package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// The names of a pack's files.
const (
	receipts     = "receipt_pack.jsonl"
	report       = "verify_report.json"
	transcript   = "verify_transcript.md"
	manifestFile = "pack_manifest.json"
	signature    = "pack_signature.sig"
)

// Everything below is fixed: the corpus is the same bytes wherever and whenever it is made.
var (
	builtAt = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	signer  = packtest.KeyFrom("corpus-signer", "assay-corpus-v1-signer-key-seed")
	mallory = packtest.KeyFrom("corpus-mallory", "assay-corpus-v1-mallory-key-seed")
)

// producer is what the packs say of the program that built them. It is not the version of this one: a
// release must not change the corpus that verifiers are measured by.
const producer = "1.0.0-corpus"

// files is a pack in memory: names and bytes.
type files map[string][]byte

// with is the pack with one file changed.
func (f files) with(name string, data []byte) files {
	f = maps.Clone(f)
	f[name] = data
	return f
}

func (f files) without(name string) files {
	f = maps.Clone(f)
	delete(f, name)
	return f
}

// swap is the pack with the first occurrence of old in a file replaced; there must be one.
func (f files) swap(name, old, to string) files {
	if !bytes.Contains(f[name], []byte(old)) {
		panic(fmt.Sprintf("%s holds no %q", name, old))
	}
	return f.with(name, bytes.Replace(f[name], []byte(old), []byte(to), 1))
}

func (f files) parsed(name string) jcs.Value { return parse(string(f[name])) }

func parse(text string) jcs.Value {
	v, err := jcs.Parse([]byte(text), jcs.Limits{Bytes: 16 << 20})
	if err != nil {
		panic(fmt.Sprintf("%v in %.200s", err, text))
	}
	return v
}

// honest builds a pack as any user would, and pins what depends on the version of the builder or on the
// words that it has for people: those are not what verifiers are measured by.
func honest(s pack.Spec) files {
	s.Now = builtAt
	if s.Signer == nil {
		s.Signer = signer
	}
	built, err := pack.Build(s)
	if err != nil {
		panic(err)
	}
	f := files{}
	for _, file := range built.Files {
		f[file.Name] = file.Data
	}
	delete(f, "_unsigned/PACK_SUMMARY.md")
	if !slices.ContainsFunc(s.Cards, func(c claim.Card) bool { return !builtIn(c.ID) }) {
		delete(f, "_unsigned/run_cards.json") // every verifier knows the built-in cards
	}
	m := f.parsed(manifestFile)
	for _, name := range []string{"verifier_version", "canon_impl_version"} {
		m = jcstest.Set(m, "attestation."+name, jcs.Str(producer))
	}
	f[report] = pinnedReport(m, f.parsed(report))
	f[transcript] = []byte("# Conformance corpus\n\nThis transcript is covered by the signature. Nothing parses it.\n")
	return resigned(f, m, s.Signer.(packtest.Key))
}

func builtIn(id string) bool {
	return slices.ContainsFunc(claim.BuiltinCards(), func(c claim.Card) bool { return c.ID == id })
}

// pinnedReport is a verify_report.json with the members that a verifier compares.
func pinnedReport(m, built jcs.Value) []byte {
	a := get(m, "attestation")
	members := []jcs.Member{
		jcs.M("schema_version", jcs.Str("assay.verify_report.v0.1")),
		jcs.M("report_id", jcs.Str("vr_"+hexSum([]byte(get(a, "pack_id").Text))[:20])),
	}
	for _, name := range []string{"pack_id", "run_id", "pack_root_sha256", "pack_manifest_sha256", "integrity_verdict", "claim_verdict",
		"replay_verdict", "trust_verdict", "evaluation_profile", "required_channels", "optional_channels", "unevaluated_channels",
		"overall_verdict", "overall_reason", "blocking_channel"} {
		members = append(members, jcs.M(name, get(built, name)))
	}
	members = append(members,
		jcs.M("verified_at", jcs.Str("2026-01-15T12:00:00.000000+00:00")),
		jcs.M("verifier", jcs.Obj(jcs.M("name", jcs.Str("assay-corpus")), jcs.M("version", jcs.Str(producer)), jcs.M("policy_id", jcs.Str("assay.verify_policy.v0.1")))))
	for _, name := range []string{"expectations", "evidence_refs", "checks", "errors", "warnings"} {
		members = append(members, jcs.M(name, get(built, name)))
	}
	words := jcs.Str("See the verdicts.")
	members = append(members, jcs.M("summary", jcs.Obj(jcs.M("integrity", words), jcs.M("claim", words), jcs.M("replay", words), jcs.M("trust", words))))
	for _, name := range []string{"passed", "receipt_count", "head_hash"} {
		members = append(members, jcs.M(name, get(built, name)))
	}
	if claims, ok := built.Get("claim_verification"); ok {
		members = append(members, jcs.M("claim_verification", claims))
	}
	return pretty(identified(jcs.Obj(members...)))
}

// resigned gives the files a manifest signed by the key, as whoever holds one can: hashes, root and
// signature are consistent, except for the members named in keep, which stay as they are.
func resigned(f files, m jcs.Value, by packtest.Key, keep ...string) files {
	f = maps.Clone(f)
	put := func(name string, to jcs.Value) {
		if _, ok := m.Get(name); ok && !slices.Contains(keep, name) {
			m = jcstest.Set(m, name, to)
		}
	}
	attestation, err := jcs.AppendPack(nil, get(m, "attestation"))
	if err != nil {
		attestation = nil // duplicated members have no canonical form
	}
	root := jcs.Str(hexSum(attestation))
	put("attestation_sha256", root)
	put("pack_root_sha256", root)
	// The report names the root too; the signer writes it like everything else.
	if r, err := jcs.Parse(f[report], jcs.Limits{}); err == nil {
		if old, ok := r.Get("pack_root_sha256"); ok && old.Text != root.Text {
			f[report] = pretty(identified(jcstest.Set(r, "pack_root_sha256", root)))
		}
	}
	put("files", jcs.Arr(fileValue(f, receipts), fileValue(f, report), fileValue(f, transcript)))
	put("signer_id", jcs.Str(by.Name))
	put("signer_pubkey", encoded(by.Public()))
	put("signer_pubkey_sha256", jcs.Str(hexSum(by.Public())))
	message, err := jcs.AppendPack(nil, m.Without("signature", "pack_root_sha256"))
	if err != nil {
		message = nil
	}
	f[signature], _ = by.Sign(message)
	put("signature", encoded(f[signature]))
	f[manifestFile] = pretty(m)
	return f
}

// forged is the pack with members of the manifest changed (path, value, path, value…) and signed again.
func forged(f files, changes ...any) files {
	m := f.parsed(manifestFile)
	var keep []string
	for i := 0; i < len(changes); i += 2 {
		path := changes[i].(string)
		m = jcstest.Set(m, path, changes[i+1].(jcs.Value))
		keep = append(keep, path)
	}
	return resigned(f, m, signer, keep...)
}

// reported is the pack with members of the report changed and signed again.
func reported(f files, changes ...any) files {
	r := f.parsed(report)
	for i := 0; i < len(changes); i += 2 {
		r = jcstest.Set(r, changes[i].(string), changes[i+1].(jcs.Value))
	}
	return resigned(f.with(report, pretty(identified(r, changes...))), f.parsed(manifestFile), signer)
}

// identified is the report with the report_id (PCK-32) that follows from it, unless that is among the changes.
func identified(r jcs.Value, changes ...any) jcs.Value {
	if slices.Contains(changes, any("report_id")) {
		return r
	}
	seed := jcs.Obj()
	for _, name := range []string{"pack_root_sha256", "verified_at", "integrity_verdict", "claim_verdict", "replay_verdict", "trust_verdict"} {
		seed.Members = append(seed.Members, jcs.M(name, get(r, name)))
	}
	seed.Members = append(seed.Members, jcs.M("verifier_version", get(r, "verifier.version")))
	text, err := jcs.AppendPack(nil, seed)
	if err != nil {
		panic(err)
	}
	return jcstest.Set(r, "report_id", jcs.Str("vr_"+hexSum(text)[:20]))
}

// withLines replaces the receipts, and makes everything agree with them that a signer can.
func withLines(f files, text string) files {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	n := jcs.Int(int64(len(lines)))
	head := jcs.Str(strings.Repeat("0", 64))
	if last, err := jcs.Pack(nil, []byte(lines[len(lines)-1]), jcs.Limits{Depth: 512}); err == nil {
		head = jcs.Str(hexSum(last))
	}
	f = f.with(receipts, []byte(text))
	r := jcstest.Set(jcstest.Set(f.parsed(report), "receipt_count", n), "head_hash", head)
	refs := get(r, "evidence_refs").Items
	r = jcstest.Set(r, "evidence_refs", jcs.Arr(refs[0], jcstest.Set(refs[1], "sha256", jcs.Str(hexSum(f[receipts])))))
	f = f.with(report, pretty(r))
	m := f.parsed(manifestFile)
	for path, to := range map[string]jcs.Value{"receipt_count_expected": n, "attestation.n_receipts": n, "attestation.head_hash": head} {
		m = jcstest.Set(m, path, to)
	}
	return resigned(f, m, signer)
}

func fileValue(f files, name string) jcs.Value {
	return jcs.Obj(jcs.M("path", jcs.Str(name)), jcs.M("sha256", jcs.Str(hexSum(f[name]))), jcs.M("bytes", jcs.Int(int64(len(f[name])))))
}

func encoded(data []byte) jcs.Value { return jcs.Str(base64.StdEncoding.EncodeToString(data)) }

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func get(v jcs.Value, path string) jcs.Value {
	for name := range strings.SplitSeq(path, ".") {
		v, _ = v.Get(name)
	}
	return v
}

// changed is the pack with the members around a path of the manifest changed, and signed again.
func changed(f files, path string, change func(ms []jcs.Member, i int) []jcs.Member) files {
	top, _, _ := strings.Cut(path, ".")
	return resigned(f, jcstest.Edit(f.parsed(manifestFile), path, change), signer, top)
}

func renamed(f files, path, to string) files {
	return changed(f, path, func(ms []jcs.Member, i int) []jcs.Member { ms[i].Name = to; return ms })
}

func deleted(f files, path string) files {
	return changed(f, path, func(ms []jcs.Member, i int) []jcs.Member { return slices.Delete(ms, i, i+1) })
}

// before puts another member of the same name in front of the one at path.
func before(f files, path string, to jcs.Value) files {
	return changed(f, path, func(ms []jcs.Member, i int) []jcs.Member { return slices.Insert(ms, i, jcs.M(ms[i].Name, to)) })
}

func added(f files, path, name string) files {
	return changed(f, path, func(ms []jcs.Member, i int) []jcs.Member { return append(ms, jcs.M(name, jcs.Value{})) })
}

// pretty writes JSON as files of a pack are written, duplicate members and all.
func pretty(v jcs.Value) []byte { return appendPretty(nil, v, "\n") }

func appendPretty(b []byte, v jcs.Value, indent string) []byte {
	inner := indent + "  "
	switch {
	case v.Kind == jcs.Array && len(v.Items) > 0:
		b = append(b, '[')
		for i, item := range v.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendPretty(append(b, inner...), item, inner)
		}
		return append(append(b, indent...), ']')
	case v.Kind == jcs.Object && len(v.Members) > 0:
		b = append(b, '{')
		for i, m := range v.Members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, inner...)
			b = append(appendPretty(b, jcs.Str(m.Name), ""), ": "...)
			b = appendPretty(b, m.Value, inner)
		}
		return append(append(b, indent...), '}')
	}
	b, err := jcs.AppendPretty(b, v)
	if err != nil {
		panic(err)
	}
	return b
}
