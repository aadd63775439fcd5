package govern

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/lock"
)

// lockInit is one run of 'lock init', with its flags.
type lockInit struct {
	s cli.Streams
	lockFlags
	from string
	pin  bool
}

func lockInitCmd(s cli.Streams) *cobra.Command {
	o := lockInit{s: s}
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a first lock, by default for receipt_completeness",
		Long: `init writes a lock where there is none. With --from-pack the cards are those that the pack declares,
found by executing its claims again; a pack whose cards are not found is refused (--cards names card
files that it may have used). --pin-signer admits the key that signed the pack, and no other.`,
		Example: `  assay lock init
  assay lock init --from-pack ./proof_pack_trace_20260115T100000_5f2c9a01 --pin-signer`,
		Args: cli.Args(cobra.NoArgs, "no argument"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *lockInit) add(c *cobra.Command) {
	o.lockFlags.add(c)
	c.Flags().StringSliceVarP(&o.cards, "cards", "c", nil, "`CARDS`: built-in ids or card files; with --from-pack, files of cards that it may declare")
	c.Flags().StringVar(&o.from, "from-pack", "", "take the cards from the pack in `DIR`")
	c.Flags().BoolVar(&o.pin, "pin-signer", false, "admit the key that signed the pack of --from-pack, and no other but those of --signer-allowlist")
}

func (o *lockInit) check() error {
	if o.pin && o.from == "" {
		return cli.BadInput("name a pack with --from-pack DIR, or keys with --signer-allowlist", "--pin-signer needs a pack")
	}
	return nil
}

func (o *lockInit) run(c *cobra.Command, _ []string) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.from == "" && len(o.cards) == 0 {
		o.cards = []string{"receipt_completeness"}
	}
	spec, err := o.spec(o.s, lock.Spec{At: time.Now()})
	if err != nil {
		return err
	}
	if o.from != "" {
		if err := specFromPack(o.s, &spec, o.from, o.pin); err != nil {
			return err
		}
	}
	l, err := newLock(spec)
	if err != nil {
		return err
	}
	err = durable.CreateFile(o.out, l.Marshal(), 0o644)
	if errors.Is(err, fs.ErrExist) {
		return cli.BadInput("'assay lock write' replaces it", "%s exists", o.out)
	} else if err != nil {
		return err
	}
	return o.told(o.s, c, l)
}

// specFromPack puts the cards of a pack into spec, and on request its signer.
func specFromPack(s cli.Streams, spec *lock.Spec, dir string, pin bool) error {
	r, err := expect.VerifyDir(dir, pack.Options{Cards: spec.Cards, Contract: spec.Contract, Now: time.Now()})
	if err != nil {
		return err
	}
	switch {
	case r.Integrity != pack.Pass:
		return &cli.Error{Code: cli.ExitTampered, Err: fmt.Errorf("%s is not intact: %s", dir, r.Findings[0]), Hint: "run 'assay verify-pack " + dir + "'"}
	case r.Expectations.Verdict == pack.Fail:
		return &cli.Error{Code: cli.ExitTampered, Err: fmt.Errorf("%s: %s", dir, r.ExpectationFindings()[0])}
	case r.Claims.Verdict == pack.Skipped:
		return cli.BadInput("name the cards of packs to come with --cards", "%s declares no claims", dir)
	case r.Claims.Cards == nil:
		return cli.BadInput("name the card files that it used with --cards", "nobody here knows the claims that %s declares", dir)
	case r.Claims.Verdict == pack.Fail:
		fmt.Fprintf(s.Err, "note: the claims of this pack do not hold; the lock demands them of packs to come\n")
	}
	spec.Cards = r.Claims.Cards
	key := r.Manifest.SignerFingerprint()
	if pin {
		spec.Signers = spec.Signers.With(key)
	} else if spec.Signers.Any() {
		fmt.Fprintf(s.Err, "note: %s signed this pack with key %s; --pin-signer admits no other\n", terminal.Safe(r.Manifest.SignerID), key)
	}
	return nil
}
