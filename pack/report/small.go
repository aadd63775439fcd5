package report

import (
	"fmt"
	"slices"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// PackObject is the small view of a pack for commands whose result is something else.
func PackObject(dir string, r *pack.Result) jcs.Value {
	v := jcs.Obj(
		jcs.M("path", jcs.Loose(dir)),
		jcs.M("integrity", jcs.Str(string(r.Integrity))),
		jcs.M("claims", jcs.Str(string(r.ClaimsHere()))),
		jcs.M("anchor", jcs.Str(string(r.Anchor))),
		jcs.M("n_receipts", jcs.Int(int64(r.Receipts))),
	)
	add := func(name string, value jcs.Value) {
		v.Members = append(v.Members, jcs.M(name, value))
	}
	if m := r.Manifest; m != nil {
		add("pack_id", jcs.Str(m.PackID))
		add("manifest_sha256", jcs.Str(fmt.Sprintf("%x", m.Digest())))
		add("pack_root_sha256", jcs.Str(fmt.Sprintf("%x", m.PackRoot)))
		add("signer_id", jcs.Str(m.SignerID))
		add("signer_pubkey_sha256", jcs.Str(fmt.Sprintf("%x", m.SignerFingerprint())))
		add("signer_pinned", jcs.Boolean(r.Pinned))
	}
	add("claim_results", ClaimObjects(r.ClaimResults))
	add("findings", FindingsArray(slices.Concat(r.Findings, r.ExpectationFindings())))
	add("warnings", FindingsArray(r.Warnings))
	return v
}

// FindingsArray is findings for a machine.
func FindingsArray(findings []manifest.Finding) jcs.Value {
	v := jcs.Arr()
	for _, f := range findings {
		o := jcs.Obj(
			jcs.M("code", jcs.Str(f.Code)),
			jcs.M("field", jcs.Str(f.Field)),
			jcs.M("message", jcs.Str(f.Message)),
		)
		if f.Receipt >= 0 {
			o.Members = append(o.Members, jcs.M("receipt_index", jcs.Int(int64(f.Receipt))))
		}
		v.Items = append(v.Items, o)
	}
	return v
}

// ClaimObjects is what each claim came to, for a machine.
func ClaimObjects(results []claim.Result) jcs.Value {
	list := jcs.Arr()
	for _, c := range results {
		ids := jcs.Arr()
		for _, id := range c.Evidence {
			ids.Items = append(ids.Items, jcs.Loose(id))
		}
		list.Items = append(list.Items, jcs.Obj(
			jcs.M("claim_id", jcs.Str(c.ClaimID)),
			jcs.M("passed", jcs.Boolean(c.Passed)),
			jcs.M("expected", jcs.Str(c.Expected)),
			jcs.M("actual", jcs.Str(c.Actual)),
			jcs.M("severity", jcs.Str(string(c.Severity))),
			jcs.M("evidence_receipt_ids", ids)))
	}
	return list
}
