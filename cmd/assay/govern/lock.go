package govern

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/report"
	"github.com/Haserjian/assay-ledger/trust"
)

func lockCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "lock",
		Short: "Write, check and compare lockfiles",
		Long: `lock looks after assay.lock: which claims the packs of a repository must declare, and which keys may
sign them. Keep it under review like code; 'assay verify-pack --lock assay.lock' holds packs to it.`,
		Example: `  assay lock write --cards receipt_completeness --signer-allowlist ci-key
  assay lock check assay.lock`,
	}
	c.AddCommand(cli.Judges(lockWriteCmd(s), cli.ExitTampered), cli.Judges(lockInitCmd(s), cli.ExitTampered), cli.Judges(lockCheckCmd(s), cli.ExitTampered), cli.Judges(lockDiffCmd(s), cli.ExitHonestFail, cli.ExitTampered))
	return c
}

// lockFlags are what write and init share.
type lockFlags struct {
	cards, signers, alias []string
	contract, out         string
	json                  bool
}

func (f *lockFlags) add(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.signers, "signer-allowlist", nil, "`KEYS` that may sign: key ids, fingerprints or public key files")
	c.Flags().StringSliceVar(&f.alias, "signer", nil, "the same as --signer-allowlist")
	c.Flags().StringVar(&f.contract, "coverage-contract", "", "coverage contract `FILE` that every verification must be given")
	c.Flags().StringVarP(&f.out, "output", "o", expect.DefaultLock, "the lock `FILE`")
	cli.JSONFlag(c, &f.json)
}

// spec reads everything that is named, before anything is written. Cards stay as they are if the flag
// was not given.
func (f *lockFlags) spec(s cli.Streams, spec lock.Spec) (lock.Spec, error) {
	var err error
	if len(f.cards) > 0 {
		if spec.Cards, err = expect.FindCards(f.cards); err != nil {
			return spec, err
		}
	}
	if f.contract != "" {
		if spec.Contract, err = expect.ReadContract(f.contract); err != nil {
			return spec, err
		}
	}
	for _, name := range slices.Concat(f.signers, f.alias) {
		key, err := findSigner(s, name)
		if err != nil {
			return spec, err
		}
		spec.Signers = spec.Signers.With(key)
	}
	return spec, nil
}

// findSigner is the fingerprint that name stands for: itself, of a public key file, or of a key of this
// user, in this order.
func findSigner(s cli.Streams, name string) (key trust.Digest, err error) {
	if key, is, err := expect.ParseFingerprint(name); is {
		return key, err
	}
	if strings.ContainsAny(name, "/.") {
		key, err := expect.ReadFingerprint(name)
		if err == nil || strings.Contains(name, "/") || !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
	}
	h, err := home.Open(s)
	if err != nil {
		return key, err
	}
	cli.HoldSecret()
	keys, err := h.Keys().List()
	if err != nil {
		return key, err
	}
	for _, k := range keys {
		if k.ID != name {
			continue
		}
		if k.Err != nil {
			return key, cli.BadInput("", "key %s: %w", name, k.Err)
		}
		return k.Fingerprint, nil
	}
	return key, cli.BadInput("a signer is a key id of 'assay key list', a fingerprint of 64 hex digits or a public key file", "no signer %q", name)
}

func newLock(spec lock.Spec) (*lock.Lock, error) {
	l, err := lock.New(spec)
	if err != nil {
		return nil, cli.BadInput("", "%w", err)
	}
	return l, nil
}

// told says what was written.
func (f *lockFlags) told(s cli.Streams, c *cobra.Command, l *lock.Lock) error {
	if l.Signers().Any() {
		fmt.Fprintf(s.Err, "note: any key may sign; --signer-allowlist names those that may\n")
	}
	warnIdle(s, l)
	if f.json {
		members := append([]jcs.Member{jcs.M("output", jcs.Loose(f.out))}, lockMembers(l)...)
		return cli.PrintJSON(s.Out, cli.Answer("lock "+c.Name(), "ok", cli.ExitPass, members...))
	}
	_, err := io.WriteString(s.Out, "wrote   "+terminal.Safe(f.out)+"\n"+lockText(l))
	return err
}

// warnIdle says that a lock demands claims which no pack can fail.
func warnIdle(s cli.Streams, l *lock.Lock) {
	if !claim.CanFail(l.Cards()) {
		fmt.Fprintf(s.Err, "warning: nothing in this lock can fail: every claim is a warning or one that no receipts fail, so the claims of every pack pass; a critical claim that wants something can fail\n")
	}
}

// lockMembers is what a lock says, for a machine.
func lockMembers(l *lock.Lock) []jcs.Member {
	ids, keys := jcs.Arr(), jcs.Arr()
	for _, card := range l.Cards() {
		ids.Items = append(ids.Items, jcs.Str(card.ID))
	}
	signers := l.Signers()
	for _, key := range signers.Fingerprints() {
		keys.Items = append(keys.Items, jcs.Str(key.String()))
	}
	mode := "allowlist"
	if signers.Any() {
		mode = "any"
	}
	return []jcs.Member{
		jcs.M("run_cards", jcs.Int(int64(len(ids.Items)))),
		jcs.M("run_card_ids", ids),
		jcs.M("composite_hash", jcs.Str(l.CompositeHash())),
		jcs.M("claim_set_hash", jcs.Str(l.ClaimSetHash())),
		jcs.M("signer_mode", jcs.Str(mode)),
		jcs.M("allowed_fingerprints", keys),
		jcs.M("claims_can_fail", jcs.Boolean(claim.CanFail(l.Cards()))),
		jcs.M("lock_sha256", jcs.Str(l.Digest().String())),
	}
}

// lockText is what a lock says, for a person.
func lockText(l *lock.Lock) string {
	w := new(strings.Builder)
	for _, card := range l.Cards() {
		fmt.Fprintf(w, "card    %s: %s\n", terminal.Safe(card.Label()), report.Count(len(card.Claims), "claim"))
	}
	signers := l.Signers()
	switch {
	case signers.Any():
		fmt.Fprintf(w, "signer  ANY key\n")
	case len(signers.Fingerprints()) == 0:
		fmt.Fprintf(w, "signer  NONE: no pack can pass\n")
	}
	for _, key := range signers.Fingerprints() {
		fmt.Fprintf(w, "signer  %s\n", key)
	}
	if hash := l.ContractHash(); hash != "" {
		fmt.Fprintf(w, "covers  contract %s\n", hash)
	}
	fmt.Fprintf(w, "claims  %s\n", l.ClaimSetHash())
	return w.String()
}
