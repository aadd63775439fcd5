package sign

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// keyCISetup is one run of 'key ci-setup', with its flags.
type keyCISetup struct {
	s              cli.Streams
	provider, lock string
	json           bool
}

func keyCISetupCmd(s cli.Streams) *cobra.Command {
	o := keyCISetup{s: s}
	c := &cobra.Command{
		Use:   "ci-setup [ID]",
		Short: "Make a key for CI and print how to bring it there",
		Long: `ci-setup makes a key for CI (default: ci-key), unless it is there, and prints the commands that put it
into the secret store of the CI system. It never becomes the active key of this machine: on a
machine without keys, one for the people who work here is made first. Pull requests from forks
do not get the secret: the variable is empty there, and assay makes no other key for the run
unless it is unset.`,
		Example: "  assay key ci-setup --provider github",
		Args:    cli.Args(cobra.MaximumNArgs(1), "at most one id"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *keyCISetup) add(c *cobra.Command) {
	c.Flags().StringVar(&o.provider, "provider", "github", "CI `SYSTEM`: github, gitlab or generic")
	c.Flags().StringVar(&o.lock, "lock", "assay.lock", "lockfile `FILE` that the printed commands name; it is not read")
	cli.JSONFlag(c, &o.json)
}

func (o *keyCISetup) check() error {
	if !slices.Contains(ciProviders, o.provider) {
		return cli.BadInput("", "--provider %s: expected one of %s", o.provider, strings.Join(ciProviders, ", "))
	}
	return nil
}

func (o *keyCISetup) run(_ *cobra.Command, args []string) error {
	if err := o.check(); err != nil {
		return err
	}
	store, err := keysOf(o.s)
	if err != nil {
		return err
	}
	id := home.CIKeyID
	if len(args) == 1 {
		id = args[0]
	}
	k, made, err := ciKey(o.s, store, id)
	if err != nil {
		return keyError(store, id, err)
	}
	commands, job := ciSteps(o.provider, id, k.FingerprintText(), cli.ShellWord(terminal.Safe(o.lock)))
	list := jcs.Arr()
	for _, command := range commands {
		list.Items = append(list.Items, jcs.Str(command))
	}
	text := fmt.Sprintf("%s  %s\n\n# bring it to CI, then delete the export\n%s\n\n# in the job\n%s", id, k.FingerprintText(), strings.Join(commands, "\n"), job)
	return keyAnswer(o.s, o.json, "ci-setup", text, jcs.M("signer_id", jcs.Str(id)), jcs.M("fingerprint", jcs.Str(k.FingerprintText())),
		jcs.M("generated", jcs.Boolean(made)), jcs.M("provider", jcs.Str(o.provider)), jcs.M("secret_name", jcs.Str(home.EnvKey)),
		jcs.M("commands", list), jcs.M("job", jcs.Str(job)))
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

// ciKey is the key of that id, made if need be, and never the one that signs on this machine.
func ciKey(s cli.Streams, store *keystore.Store, id string) (k keystore.Info, made bool, err error) {
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
		return k, made, cli.BadInput("its secret half is in CI already, or import it", "key %s: %w", id, keystore.ErrPublicOnly)
	case k.Active:
		return k, made, cli.BadInput("name another id, or make another key active first", "key %s is the active key of this machine: CI should have its own", id)
	}
	return k, made, nil
}
