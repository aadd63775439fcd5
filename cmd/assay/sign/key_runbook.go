package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// keyRunbook is one run of 'key runbook', with its flags.
type keyRunbook struct {
	s                cli.Streams
	output, lock, ci string
	json             bool
}

func keyRunbookCmd(s cli.Streams) *cobra.Command {
	o := keyRunbook{s: s}
	c := &cobra.Command{
		Use:     "runbook",
		Short:   "Print how to rotate the keys of this machine and of CI, in Markdown",
		Example: "  assay key runbook -o ROTATION.md",
		Args:    cli.Args(cobra.NoArgs, "no argument"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *keyRunbook) add(c *cobra.Command) {
	c.Flags().StringVarP(&o.output, "output", "o", "", "`FILE` to make (default: stdout)")
	c.Flags().StringVar(&o.lock, "lock", "assay.lock", "lockfile `FILE` of the repository")
	c.Flags().StringVar(&o.ci, "ci-key", home.CIKeyID, "`ID` of the key of CI")
	cli.JSONFlag(c, &o.json)
}

func (o *keyRunbook) run(*cobra.Command, []string) error {
	store, err := keysOf(o.s)
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
	text := runbook(keys, active, o.ci, o.lock, time.Now())
	if o.output != "" {
		if err := durable.CreateFile(o.output, []byte(text), 0o644); errors.Is(err, fs.ErrExist) {
			return cli.BadInput("name another with --output", "%s exists", o.output)
		} else if err != nil {
			return err
		}
		text = terminal.Safe(o.output) + "\n"
	}
	return keyAnswer(o.s, o.json, "runbook", text, jcs.M("active_signer", jcs.Str(active)), jcs.M("runbook", jcs.Loose(text)))
}

func runbook(keys []keystore.Info, active, ci, lock string, now time.Time) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	// The name of a file is shown as code: no Markdown in it counts.
	lock = cli.ShellWord(strings.ReplaceAll(terminal.Safe(lock), "`", "?"))
	p("# Signing keys: rotation runbook\n")
	p("Rotate every quarter, and whenever somebody who could read a key leaves. Each step can be repeated.\n")
	p("| Key | Fingerprint | State |\n|---|---|---|")
	for _, k := range keys {
		p("| `%s` | `%s` | %s |", k.ID, k.FingerprintText(), keyState(k))
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
