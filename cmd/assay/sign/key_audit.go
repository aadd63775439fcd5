package sign

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// keyAudit is one run of 'key audit', with its flags.
type keyAudit struct {
	s    cli.Streams
	json bool
}

func keyAuditCmd(s cli.Streams) *cobra.Command {
	o := keyAudit{s: s}
	c := &cobra.Command{
		Use:   "audit",
		Short: "Check ages, permissions, halves and records of all keys",
		Long: `audit exits with 1 if somebody has to do something: a key or the store that others could have read or
changed, halves that do not match, an active key that was revoked or signs for more than 90 days, a
damaged record, a file that does not belong there. What is only good to know is marked "note".
Encrypted keys are not opened.`,
		Example: "  assay key audit --json",
		Args:    cli.Args(cobra.NoArgs, "no argument"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *keyAudit) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *keyAudit) run(*cobra.Command, []string) error {
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	a, err := store.Audit(time.Now())
	if err != nil {
		return err
	}
	code := cli.ExitPass
	if slices.ContainsFunc(a.Findings, func(f keystore.Finding) bool { return f.Serious }) {
		code = cli.ExitHonestFail
	}
	if o.json {
		err = cli.PrintJSON(o.s.Out, auditObject(store, a, code))
	} else {
		_, err = fmt.Fprint(o.s.Out, auditText(a))
	}
	return cli.Judged(code, err)
}

func auditText(a *keystore.Audited) string {
	var text strings.Builder
	for _, k := range a.Keys {
		text.WriteString(keyLine(k))
	}
	for _, r := range a.Rotations {
		fmt.Fprintf(&text, "rotation   %s  %s -> %s, signed by the old key\n", r.At.Format(time.RFC3339), r.OldID, r.NewID)
	}
	for _, r := range a.Revocations {
		fmt.Fprintf(&text, "revocation %s  %s %s %s\n", revokedOn(r), r.Fingerprint, r.SignerID, terminal.Safe(r.Reason))
	}
	for _, f := range a.Findings {
		weight := "note   "
		if f.Serious {
			weight = "finding"
		}
		fmt.Fprintf(&text, "%s    %s %s: %s\n", weight, f.Code, terminal.Safe(f.Name), terminal.Safe(f.Text))
	}
	if len(a.Findings) == 0 {
		fmt.Fprintf(&text, "nothing to report on %d keys\n", len(a.Keys))
	}
	return text.String()
}

func auditObject(store *keystore.Store, a *keystore.Audited, code int) jcs.Value {
	status := "ok"
	if code != cli.ExitPass {
		status = "findings"
	}
	keys, rotations, revocations, findings := jcs.Arr(), jcs.Arr(), jcs.Arr(), jcs.Arr()
	for _, k := range a.Keys {
		keys.Items = append(keys.Items, jcs.Obj(append(keyMembers(store, k), jcs.M("since", jcs.Str(k.Since.UTC().Format(time.RFC3339))))...))
	}
	for _, r := range a.Rotations {
		rotations.Items = append(rotations.Items, jcs.Obj(
			jcs.M("at", jcs.Str(r.At.Format(time.RFC3339))),
			jcs.M("old_signer", jcs.Str(r.OldID)), jcs.M("old_fingerprint", jcs.Str(keystore.Fingerprint(r.Old).String())),
			jcs.M("new_signer", jcs.Str(r.NewID)), jcs.M("new_fingerprint", jcs.Str(keystore.Fingerprint(r.New).String())),
			jcs.M("signature", jcs.Str(base64.StdEncoding.EncodeToString(r.Signature)))))
	}
	for _, r := range a.Revocations {
		revocations.Items = append(revocations.Items, jcs.Obj(append([]jcs.Member{
			jcs.M("fingerprint", jcs.Str(r.Fingerprint.String())), jcs.M("signer_id", jcs.Str(r.SignerID))}, revocationMembers(r)...)...))
	}
	for _, f := range a.Findings {
		findings.Items = append(findings.Items, jcs.Obj(jcs.M("code", jcs.Str(f.Code)), jcs.M("name", jcs.Loose(f.Name)),
			jcs.M("serious", jcs.Boolean(f.Serious)), jcs.M("message", jcs.Loose(f.Text))))
	}
	return cli.Answer("key audit", status, code,
		jcs.M("active_signer", jcs.Str(a.Active)), jcs.M("permissions_checked", jcs.Boolean(keystore.PermissionsChecked)),
		jcs.M("signers", keys), jcs.M("rotations", rotations), jcs.M("revocations", revocations), jcs.M("findings", findings))
}
