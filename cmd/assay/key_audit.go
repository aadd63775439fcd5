package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyAuditCmd(s cmd.Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "audit",
		Short: "Check ages, permissions, halves and records of all keys",
		Long: `audit exits with 1 if somebody has to do something: a key or the store that others could have read or
changed, halves that do not match, an active key that was revoked or signs for more than 90 days, a
damaged record, a file that does not belong there. What is only good to know is marked "note".
Encrypted keys are not opened.`,
		Example: "  assay key audit --json",
		Args:    cmd.Args(cobra.NoArgs, "no argument"),
	}
	c.RunE = func(*cobra.Command, []string) error {
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		a, err := store.Audit(time.Now())
		if err != nil {
			return err
		}
		code := cmd.ExitPass
		if slices.ContainsFunc(a.Findings, func(f keystore.Finding) bool { return f.Serious }) {
			code = cmd.ExitHonestFail
		}
		if asJSON {
			err = cmd.PrintJSON(s.Out, auditObject(store, a, code))
		} else {
			_, err = fmt.Fprint(s.Out, auditText(a))
		}
		return cmd.Judged(code, err)
	}
	jsonFlag(c, &asJSON)
	return c
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
		fmt.Fprintf(&text, "revocation %s  %s %s %s\n", revokedOn(r), r.Fingerprint, r.SignerID, cmd.Safe(r.Reason))
	}
	for _, f := range a.Findings {
		weight := "note   "
		if f.Serious {
			weight = "finding"
		}
		fmt.Fprintf(&text, "%s    %s %s: %s\n", weight, f.Code, cmd.Safe(f.Name), cmd.Safe(f.Text))
	}
	if len(a.Findings) == 0 {
		fmt.Fprintf(&text, "nothing to report on %d keys\n", len(a.Keys))
	}
	return text.String()
}

func auditObject(store *keystore.Store, a *keystore.Audited, code int) jcs.Value {
	status := "ok"
	if code != cmd.ExitPass {
		status = "findings"
	}
	keys, rotations, revocations, findings := jcs.Arr(), jcs.Arr(), jcs.Arr(), jcs.Arr()
	for _, k := range a.Keys {
		keys.Items = append(keys.Items, jcs.Obj(append(keyMembers(store, k), jcs.M("since", jcs.Str(k.Since.UTC().Format(time.RFC3339))))...))
	}
	for _, r := range a.Rotations {
		rotations.Items = append(rotations.Items, jcs.Obj(
			jcs.M("at", jcs.Str(r.At.Format(time.RFC3339))),
			jcs.M("old_signer", jcs.Str(r.OldID)), jcs.M("old_fingerprint", jcs.Str(keystore.Fingerprint(r.Old))),
			jcs.M("new_signer", jcs.Str(r.NewID)), jcs.M("new_fingerprint", jcs.Str(keystore.Fingerprint(r.New))),
			jcs.M("signature", jcs.Str(base64.StdEncoding.EncodeToString(r.Signature)))))
	}
	for _, r := range a.Revocations {
		revocations.Items = append(revocations.Items, jcs.Obj(append([]jcs.Member{
			jcs.M("fingerprint", jcs.Str(r.Fingerprint)), jcs.M("signer_id", jcs.Str(r.SignerID))}, revocationMembers(r)...)...))
	}
	for _, f := range a.Findings {
		findings.Items = append(findings.Items, jcs.Obj(jcs.M("code", jcs.Str(f.Code)), jcs.M("name", jcs.Loose(f.Name)),
			jcs.M("serious", jcs.Boolean(f.Serious)), jcs.M("message", jcs.Loose(f.Text))))
	}
	return cmd.Answer("key audit", status, code,
		jcs.M("active_signer", jcs.Str(a.Active)), jcs.M("permissions_checked", jcs.Boolean(keystore.PermissionsChecked)),
		jcs.M("signers", keys), jcs.M("rotations", rotations), jcs.M("revocations", revocations), jcs.M("findings", findings))
}

// The providers of CI whose secret store we know the commands of.
var ciProviders = []string{"github", "gitlab", "generic"}

// ciSteps are the commands that bring a key to CI, and what a job needs to use it.
func ciSteps(provider, id, fingerprint, lock string) (commands []string, job string) {
	secret := id + "-export/" + id + ".key.b64"
	commands = []string{"assay key export " + id + " --private"}
	switch provider {
	case "github":
		commands = append(commands, "gh secret set "+home.EnvKey+" < "+secret)
		job = "env:\n  " + home.EnvKey + ": ${{ secrets." + home.EnvKey + " }}\n  " + home.EnvID + ": " + id + "\n"
	case "gitlab":
		commands = append(commands, `tr -d '\n' < `+secret+" | glab variable set "+home.EnvKey+" --masked --protected")
		job = "variables:\n  " + home.EnvID + ": " + id + "\n# " + home.EnvKey + " comes from the project's CI/CD variables: masked, protected\n"
	default:
		commands = append(commands, "# store the text of "+secret+" as the secret "+home.EnvKey)
		job = "# in the environment of the job that runs assay:\n#   " + home.EnvKey + "  the secret\n#   " + home.EnvID + "    " + id + "\n"
	}
	return append(commands, "rm -r "+id+"-export",
		"assay lock write --cards receipt_completeness --signer-allowlist "+fingerprint+" -o "+lock), job
}

func keyCISetupCmd(s cmd.Streams) *cobra.Command {
	var provider, lock string
	var asJSON bool
	c := &cobra.Command{
		Use:   "ci-setup [ID]",
		Short: "Make a key for CI and print how to bring it there",
		Long: `ci-setup makes a key for CI (default: ci-key), unless it is there, and prints the commands that put it
into the secret store of the CI system. It never becomes the active key of this machine: on a
machine without keys, one for the people who work here is made first. Pull requests from forks
do not get the secret: the variable is empty there, and assay makes no other key for the run
unless it is unset.`,
		Example: "  assay key ci-setup --provider github",
		Args:    cmd.Args(cobra.MaximumNArgs(1), "at most one id"),
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		if !slices.Contains(ciProviders, provider) {
			return cmd.BadInput("", "--provider %s: expected one of %s", provider, strings.Join(ciProviders, ", "))
		}
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		id := home.CIKeyID
		if len(args) == 1 {
			id = args[0]
		}
		k, made, err := ciKey(s, store, id)
		if err != nil {
			return keyError(store, id, err)
		}
		commands, job := ciSteps(provider, id, k.Fingerprint, cmd.ShellWord(cmd.Safe(lock)))
		list := jcs.Arr()
		for _, command := range commands {
			list.Items = append(list.Items, jcs.Str(command))
		}
		text := fmt.Sprintf("%s  %s\n\n# bring it to CI, then delete the export\n%s\n\n# in the job\n%s", id, k.Fingerprint, strings.Join(commands, "\n"), job)
		return keyAnswer(s, asJSON, "ci-setup", text, jcs.M("signer_id", jcs.Str(id)), jcs.M("fingerprint", jcs.Str(k.Fingerprint)),
			jcs.M("generated", jcs.Boolean(made)), jcs.M("provider", jcs.Str(provider)), jcs.M("secret_name", jcs.Str(home.EnvKey)),
			jcs.M("commands", list), jcs.M("job", jcs.Str(job)))
	}
	c.Flags().StringVar(&provider, "provider", "github", "CI `SYSTEM`: github, gitlab or generic")
	c.Flags().StringVar(&lock, "lock", "assay.lock", "lockfile `FILE` that the printed commands name; it is not read")
	jsonFlag(c, &asJSON)
	return c
}

// ciKey is the key of that id, made if need be, and never the one that signs on this machine.
func ciKey(s cmd.Streams, store *keystore.Store, id string) (k keystore.Info, made bool, err error) {
	keys, err := store.List()
	if err != nil {
		return k, false, err
	}
	others := slices.ContainsFunc(keys, func(k keystore.Info) bool { return k.ID != id && k.Kind != keystore.PublicOnly })
	if !others && id != keystore.DefaultID {
		key, err := store.Generate(nil, keystore.DefaultID)
		if err == nil {
			err = store.SetActive(key.ID())
		}
		if err != nil && !errors.Is(err, keystore.ErrExists) {
			return k, false, err
		} else if err == nil {
			fmt.Fprintf(s.Err, "made signing key %s (fingerprint %s) for this machine\n", key.ID(), key.Fingerprint())
		}
	}
	if _, err := store.Generate(nil, id); err == nil {
		made = true
	} else if !errors.Is(err, keystore.ErrExists) {
		return k, false, err
	}
	if k, err = store.Find(id); err != nil {
		return k, made, err
	}
	switch {
	case k.Err != nil:
		return k, made, fmt.Errorf("key %s: %w", id, k.Err)
	case k.Kind == keystore.PublicOnly:
		return k, made, cmd.BadInput("its secret half is in CI already, or import it", "key %s: %w", id, keystore.ErrPublicOnly)
	case k.Active:
		return k, made, cmd.BadInput("name another id, or make another key active first", "key %s is the active key of this machine: CI should have its own", id)
	}
	return k, made, nil
}

func keyRunbookCmd(s cmd.Streams) *cobra.Command {
	var output, lock, ci string
	var asJSON bool
	c := &cobra.Command{
		Use:     "runbook",
		Short:   "Print how to rotate the keys of this machine and of CI, in Markdown",
		Example: "  assay key runbook -o ROTATION.md",
		Args:    cmd.Args(cobra.NoArgs, "no argument"),
	}
	c.RunE = func(*cobra.Command, []string) error {
		store, err := keysOf(s)
		if err != nil {
			return err
		}
		keys, err := store.List()
		if err != nil {
			return err
		}
		active, err := store.Active()
		if err != nil {
			return err
		}
		text := runbook(keys, active, ci, lock, time.Now())
		if output != "" {
			if err := durable.CreateFile(output, []byte(text), 0o644); errors.Is(err, fs.ErrExist) {
				return cmd.BadInput("name another with --output", "%s exists", output)
			} else if err != nil {
				return err
			}
			text = cmd.Safe(output) + "\n"
		}
		return keyAnswer(s, asJSON, "runbook", text, jcs.M("active_signer", jcs.Str(active)), jcs.M("runbook", jcs.Loose(text)))
	}
	c.Flags().StringVarP(&output, "output", "o", "", "`FILE` to make (default: stdout)")
	c.Flags().StringVar(&lock, "lock", "assay.lock", "lockfile `FILE` of the repository")
	c.Flags().StringVar(&ci, "ci-key", home.CIKeyID, "`ID` of the key of CI")
	jsonFlag(c, &asJSON)
	return c
}

func runbook(keys []keystore.Info, active, ci, lock string, now time.Time) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	// The name of a file is shown as code: no Markdown in it counts.
	lock = cmd.ShellWord(strings.ReplaceAll(cmd.Safe(lock), "`", "?"))
	p("# Signing keys: rotation runbook\n")
	p("Rotate every quarter, and whenever somebody who could read a key leaves. Each step can be repeated.\n")
	p("| Key | Fingerprint | State |\n|---|---|---|")
	for _, k := range keys {
		p("| `%s` | `%s` | %s |", k.ID, k.Fingerprint, keyState(k))
	}
	p("\n## 1. Look\n\n```sh\nassay key audit\nassay lock check %s\n```\n", lock)
	p("## 2. Rotate the key of this machine\n")
	signer := " --signer " + active
	if !slices.ContainsFunc(keys, func(k keystore.Info) bool { return k.ID == active }) {
		signer = "" // there is none: rotate makes the first
	}
	p("```sh\nassay key rotate%s --lock %s\ngit add %s && git commit -m 'admit the next signing key'\n```\n", signer, lock, lock)
	p("The lock now admits the old and the new key; packs of both verify. `assay key audit` shows the statement\nthat the old key signed over the new one.\n")
	p("## 3. Rotate the key of CI\n")
	inCI := slices.IndexFunc(keys, func(k keystore.Info) bool { return k.ID == ci })
	next := ci + "-" + now.UTC().Format("20060102")
	if inCI < 0 {
		p("There is no key `%s` here. `assay key ci-setup %s` makes it; then:\n", ci, ci)
		next = ci
	} else {
		p("```sh\nassay key rotate --signer %s --new-signer %s --no-set-active --lock %s\n```\n", ci, next, lock)
	}
	for _, provider := range []string{"github", "gitlab"} {
		commands, job := ciSteps(provider, next, "", lock)
		p("%s:\n\n```sh\n%s\n```\n\n```yaml\n%s```\n", map[string]string{"github": "GitHub", "gitlab": "GitLab"}[provider],
			strings.Join(commands[:len(commands)-1], "\n"), job)
	}
	p("## 4. Verify a pack of each key\n")
	p("```sh\nassay verify-pack ./proof_pack_OLD --lock %s\nassay verify-pack ./proof_pack_NEW --lock %s\n```\n", lock, lock)
	p("## 5. Revoke the old key\n")
	p("When no pack of the old key is to be accepted under this lock any more (`%s` in the same way):\n", ci)
	p("```sh\nassay key revoke %s --lock %s --reason 'rotated'\ngit add %s && git commit -m 'dismiss the old signing key'\n```\n", active, lock, lock)
	p("A verifier learns of it from the lock only. The lock then refuses old packs of that key as well: verify\nthose with the lock of their time (`git show COMMIT:%s`).\n", lock)
	p("## If a key was stolen\n")
	p("Do step 5 first, with `--delete --reason 'compromised'`, then step 2 or 3. A thief can date packs back: of what\nthe key signed, trust only packs that a ledger logged before the theft (`assay verify-pack --require-anchor`\nshows the time).\n")
	return b.String()
}

func keyState(k keystore.Info) string {
	switch {
	case k.Revoked != nil:
		return "revoked " + revokedOn(*k.Revoked)
	case k.Err != nil:
		return "refused: see `assay key audit`"
	case k.Active:
		return string(k.Kind) + ", active"
	}
	return string(k.Kind)
}
