package govern

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/lock"
)

// lockWrite is one run of 'lock write', with its flags.
type lockWrite struct {
	s cli.Streams
	lockFlags
	force bool
}

func lockWriteCmd(s cli.Streams) *cobra.Command {
	o := lockWrite{s: s}
	c := &cobra.Command{
		Use:   "write",
		Short: "Write a lock for cards and signers",
		Long: `write makes a lock, or replaces one by one that demands no less. A lock that would demand less than the
one there, or something else, is not written without --force, nor is one in the place of an invalid lock
(exit 2), with which nothing can be compared.`,
		Example: `  assay lock write --cards receipt_completeness,guardian_enforcement --signer-allowlist ci-key
  assay lock write --cards receipt_completeness,./my_card.json --signer-allowlist release.pub -o release.lock`,
		Args: cli.Args(cobra.NoArgs, "no argument"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *lockWrite) add(c *cobra.Command) {
	o.lockFlags.add(c)
	c.Flags().StringSliceVarP(&o.cards, "cards", "c", nil, "`CARDS`: built-in ids or card files, in the order in which packs declare them")
	c.Flags().BoolVar(&o.force, "force", false, "replace a lock that demands more, or that is invalid")
}

func (o *lockWrite) check() error {
	if len(o.cards) == 0 {
		return cli.BadInput("name them with --cards receipt_completeness", "a lock without cards would hold packs to nothing")
	}
	return nil
}

func (o *lockWrite) run(c *cobra.Command, _ []string) error {
	if err := o.check(); err != nil {
		return err
	}
	spec, err := o.spec(o.s, lock.Spec{At: time.Now()})
	if err != nil {
		return err
	}
	l, err := newLock(spec)
	if err != nil {
		return err
	}
	if err := mayReplace(o.s, o.out, l, o.force); err != nil {
		return err
	}
	if err := durable.WriteFile(o.out, l.Marshal(), 0o644); err != nil {
		return err
	}
	return o.told(o.s, c, l)
}

// mayReplace says what the lock at path demanded and l does not, and refuses that unless it is forced.
func mayReplace(s cli.Streams, path string, l *lock.Lock, force bool) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	old, err := expect.ReadLockToReplace(path)
	var broken *lock.Error
	if errors.As(err, &broken) && force {
		fmt.Fprintf(s.Err, "note: %s was no valid lock\n", terminal.Safe(path))
		return nil
	} else if err != nil {
		return err
	}
	weaker := 0
	for _, change := range lock.Diff(old, l) {
		if change.Effect == lock.Weaker {
			fmt.Fprintf(s.Err, "weaker than before: %s\n", terminal.Safe(change.Message))
			weaker++
		}
	}
	if weaker > 0 && !force {
		return cli.BadInput("--force writes it all the same", "%s is not replaced by a lock that demands less, or may", path)
	}
	return nil
}
