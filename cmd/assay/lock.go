package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
)

func lockCmd(s cmd.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "lock",
		Short: "Write, check and compare lockfiles",
		Long: `lock looks after assay.lock: which claims the packs of a repository must declare, and which keys may
sign them. Keep it under review like code; 'assay verify-pack --lock assay.lock' holds packs to it.`,
		Example: `  assay lock write --cards receipt_completeness --signer-allowlist ci-key
  assay lock check assay.lock`,
	}
	c.AddCommand(cmd.Judges(lockWriteCmd(s), cmd.ExitTampered), cmd.Judges(lockInitCmd(s), cmd.ExitTampered), cmd.Judges(lockCheckCmd(s), cmd.ExitTampered), cmd.Judges(lockDiffCmd(s), cmd.ExitHonestFail, cmd.ExitTampered))
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
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object on stdout")
}

// spec reads everything that is named, before anything is written. Cards stay as they are if the flag
// was not given.
func (f *lockFlags) spec(s cmd.Streams, spec pack.LockSpec) (pack.LockSpec, error) {
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
		if !slices.Contains(spec.Signers, key) {
			spec.Signers = append(spec.Signers, key)
		}
	}
	return spec, nil
}

// findSigner is the fingerprint that name stands for: itself, of a public key file, or of a key of this
// user, in this order.
func findSigner(s cmd.Streams, name string) (key [32]byte, err error) {
	if key, is, err := expect.ParseFingerprint(name); is {
		return key, err
	}
	if strings.ContainsAny(name, "/.") {
		text, err := cmd.ReadFile(name, 4<<10)
		if err == nil {
			return expect.FileFingerprint(name, text)
		} else if strings.Contains(name, "/") || !errors.Is(err, fs.ErrNotExist) {
			return key, err
		}
	}
	h, err := home.Open(s)
	if err != nil {
		return key, err
	}
	cmd.HoldSecret()
	keys, err := h.Keys().List()
	if err != nil {
		return key, err
	}
	for _, k := range keys {
		if k.ID != name {
			continue
		}
		if k.Err != nil {
			return key, cmd.BadInput("", "key %s: %w", name, k.Err)
		}
		_, err := hex.Decode(key[:], []byte(k.Fingerprint))
		return key, err
	}
	return key, cmd.BadInput("a signer is a key id of 'assay key list', a fingerprint of 64 hex digits or a public key file", "no signer %q", name)
}

func lockWriteCmd(s cmd.Streams) *cobra.Command {
	var f lockFlags
	var force bool
	c := &cobra.Command{
		Use:   "write",
		Short: "Write a lock for cards and signers",
		Long: `write makes a lock, or replaces one by one that demands no less. A lock that would demand less than the
one there, or something else, is not written without --force, nor is one in the place of an invalid lock
(exit 2), with which nothing can be compared.`,
		Example: `  assay lock write --cards receipt_completeness,guardian_enforcement --signer-allowlist ci-key
  assay lock write --cards receipt_completeness,./my_card.json --signer-allowlist release.pub -o release.lock`,
		Args: cmd.Args(cobra.NoArgs, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			if len(f.cards) == 0 {
				return cmd.BadInput("name them with --cards receipt_completeness", "a lock without cards would hold packs to nothing")
			}
			spec, err := f.spec(s, pack.LockSpec{At: time.Now()})
			if err != nil {
				return err
			}
			l, err := newLock(spec)
			if err != nil {
				return err
			}
			if err := mayReplace(s, f.out, l, force); err != nil {
				return err
			}
			if err := durable.WriteFile(f.out, l.Marshal(), 0o644); err != nil {
				return err
			}
			return f.told(s, c, l)
		},
	}
	f.add(c)
	c.Flags().StringSliceVarP(&f.cards, "cards", "c", nil, "`CARDS`: built-in ids or card files, in the order in which packs declare them")
	c.Flags().BoolVar(&force, "force", false, "replace a lock that demands more, or that is invalid")
	return c
}

// mayReplace says what the lock at path demanded and l does not, and refuses that unless it is forced.
func mayReplace(s cmd.Streams, path string, l *pack.Lock, force bool) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	old, err := expect.ReadLockToReplace(path)
	var broken *pack.LockError
	if errors.As(err, &broken) && force {
		fmt.Fprintf(s.Err, "note: %s was no valid lock\n", cmd.Safe(path))
		return nil
	} else if err != nil {
		return err
	}
	weaker := 0
	for _, change := range pack.DiffLocks(old, l) {
		if change.Effect == pack.Weaker {
			fmt.Fprintf(s.Err, "weaker than before: %s\n", cmd.Safe(change.Message))
			weaker++
		}
	}
	if weaker > 0 && !force {
		return cmd.BadInput("--force writes it all the same", "%s is not replaced by a lock that demands less, or may", path)
	}
	return nil
}

func lockInitCmd(s cmd.Streams) *cobra.Command {
	var f lockFlags
	var from string
	var pin bool
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a first lock, by default for receipt_completeness",
		Long: `init writes a lock where there is none. With --from-pack the cards are those that the pack declares,
found by executing its claims again; a pack whose cards are not found is refused (--cards names card
files that it may have used). --pin-signer admits the key that signed the pack, and no other.`,
		Example: `  assay lock init
  assay lock init --from-pack ./proof_pack_trace_20260115T100000_5f2c9a01 --pin-signer`,
		Args: cmd.Args(cobra.NoArgs, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			if pin && from == "" {
				return cmd.BadInput("name a pack with --from-pack DIR, or keys with --signer-allowlist", "--pin-signer needs a pack")
			}
			if from == "" && len(f.cards) == 0 {
				f.cards = []string{"receipt_completeness"}
			}
			spec, err := f.spec(s, pack.LockSpec{At: time.Now()})
			if err != nil {
				return err
			}
			if from != "" {
				if err := specFromPack(s, &spec, from, pin); err != nil {
					return err
				}
			}
			l, err := newLock(spec)
			if err != nil {
				return err
			}
			err = durable.CreateFile(f.out, l.Marshal(), 0o644)
			if errors.Is(err, fs.ErrExist) {
				return cmd.BadInput("'assay lock write' replaces it", "%s exists", f.out)
			} else if err != nil {
				return err
			}
			return f.told(s, c, l)
		},
	}
	f.add(c)
	c.Flags().StringSliceVarP(&f.cards, "cards", "c", nil, "`CARDS`: built-in ids or card files; with --from-pack, files of cards that it may declare")
	c.Flags().StringVar(&from, "from-pack", "", "take the cards from the pack in `DIR`")
	c.Flags().BoolVar(&pin, "pin-signer", false, "admit the key that signed the pack of --from-pack, and no other but those of --signer-allowlist")
	return c
}

// specFromPack puts the cards of a pack into spec, and on request its signer.
func specFromPack(s cmd.Streams, spec *pack.LockSpec, dir string, pin bool) error {
	r, err := expect.VerifyDir(dir, pack.Options{Cards: spec.Cards, Contract: spec.Contract, Now: time.Now()})
	if err != nil {
		return err
	}
	switch {
	case r.Integrity != pack.Pass:
		return &cmd.Error{Code: cmd.ExitTampered, Err: fmt.Errorf("%s is not intact: %s", dir, r.Findings[0]), Hint: "run 'assay verify-pack " + dir + "'"}
	case r.Expectations == pack.Fail:
		return &cmd.Error{Code: cmd.ExitTampered, Err: fmt.Errorf("%s: %s", dir, r.ExpectationFindings()[0])}
	case r.Claims == pack.Skipped:
		return cmd.BadInput("name the cards of packs to come with --cards", "%s declares no claims", dir)
	case r.Cards == nil:
		return cmd.BadInput("name the card files that it used with --cards", "nobody here knows the claims that %s declares", dir)
	case r.Claims == pack.Fail:
		fmt.Fprintf(s.Err, "note: the claims of this pack do not hold; the lock demands them of packs to come\n")
	}
	spec.Cards = r.Cards
	key := r.Manifest.SignerFingerprint()
	if pin && !slices.Contains(spec.Signers, key) {
		spec.Signers = append(spec.Signers, key)
	} else if !pin && spec.Signers == nil {
		fmt.Fprintf(s.Err, "note: %s signed this pack with key %x; --pin-signer admits no other\n", cmd.Safe(r.Manifest.SignerID), key)
	}
	return nil
}

func newLock(spec pack.LockSpec) (*pack.Lock, error) {
	l, err := pack.NewLock(spec)
	if err != nil {
		return nil, cmd.BadInput("", "%w", err)
	}
	return l, nil
}

// told says what was written.
func (f *lockFlags) told(s cmd.Streams, c *cobra.Command, l *pack.Lock) error {
	if _, any := l.Signers(); any {
		fmt.Fprintf(s.Err, "note: any key may sign; --signer-allowlist names those that may\n")
	}
	warnIdle(s, l)
	if f.json {
		members := append([]jcs.Member{jcs.M("output", jcs.Loose(f.out))}, lockMembers(l)...)
		return cmd.PrintJSON(s.Out, cmd.Answer("lock "+c.Name(), "ok", cmd.ExitPass, members...))
	}
	_, err := io.WriteString(s.Out, "wrote   "+cmd.Safe(f.out)+"\n"+lockText(l))
	return err
}

// warnIdle says that a lock demands claims which no pack can fail.
func warnIdle(s cmd.Streams, l *pack.Lock) {
	if !pack.CanFail(l.Cards()) {
		fmt.Fprintf(s.Err, "warning: nothing in this lock can fail: every claim is a warning or one that no receipts fail, so the claims of every pack pass; a critical claim that wants something can fail\n")
	}
}

// lockMembers is what a lock says, for a machine.
func lockMembers(l *pack.Lock) []jcs.Member {
	ids, keys := jcs.Arr(), jcs.Arr()
	for _, card := range l.Cards() {
		ids.Items = append(ids.Items, jcs.Str(card.ID))
	}
	signers, any := l.Signers()
	for _, key := range signers {
		keys.Items = append(keys.Items, jcs.Str(hex.EncodeToString(key[:])))
	}
	mode := "allowlist"
	if any {
		mode = "any"
	}
	return []jcs.Member{
		jcs.M("run_cards", jcs.Int(int64(len(ids.Items)))),
		jcs.M("run_card_ids", ids),
		jcs.M("composite_hash", jcs.Str(l.CompositeHash())),
		jcs.M("claim_set_hash", jcs.Str(l.ClaimSetHash())),
		jcs.M("signer_mode", jcs.Str(mode)),
		jcs.M("allowed_fingerprints", keys),
		jcs.M("claims_can_fail", jcs.Boolean(pack.CanFail(l.Cards()))),
		jcs.M("lock_sha256", jcs.Str(fmt.Sprintf("%x", l.Digest()))),
	}
}

// lockText is what a lock says, for a person.
func lockText(l *pack.Lock) string {
	w := new(strings.Builder)
	for _, card := range l.Cards() {
		fmt.Fprintf(w, "card    %s: %s\n", cmd.Safe(card.Label()), report.Count(len(card.Claims), "claim"))
	}
	signers, any := l.Signers()
	switch {
	case any:
		fmt.Fprintf(w, "signer  ANY key\n")
	case len(signers) == 0:
		fmt.Fprintf(w, "signer  NONE: no pack can pass\n")
	}
	for _, key := range signers {
		fmt.Fprintf(w, "signer  %x\n", key)
	}
	if hash := l.ContractHash(); hash != "" {
		fmt.Fprintf(w, "covers  contract %s\n", hash)
	}
	fmt.Fprintf(w, "claims  %s\n", l.ClaimSetHash())
	return w.String()
}

func lockCheckCmd(s cmd.Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Validate a lock (default: assay.lock)",
		Long: `check recomputes every hash of a lock and says every rule that it breaks. It exits 0 if the lock is
valid, 2 if it is not, and 3 if there is none.`,
		Example: "  assay lock check assay.lock --json",
		Args:    cmd.Args(cobra.MaximumNArgs(1), "at most one lock file"),
		RunE: func(c *cobra.Command, args []string) error {
			path := expect.DefaultLock
			if len(args) == 1 {
				path = args[0]
			}
			l, err := expect.ReadLock(path)
			var broken *pack.LockError
			if err != nil && !errors.As(err, &broken) {
				return err
			}
			if broken != nil {
				err := tellBroken(s, path, broken, asJSON)
				s.HintFormat(path)
				return cmd.Judged(cmd.ExitTampered, err)
			}
			warnIdle(s, l)
			if asJSON {
				members := append([]jcs.Member{jcs.M("path", jcs.Loose(path)), jcs.M("issues", jcs.Arr())}, lockMembers(l)...)
				return cmd.PrintJSON(s.Out, cmd.Answer("lock check", "ok", cmd.ExitPass, members...))
			}
			_, err = io.WriteString(s.Out, "valid   "+cmd.Safe(path)+"\n"+lockText(l))
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	return c
}

func tellBroken(s cmd.Streams, path string, broken *pack.LockError, asJSON bool) error {
	if asJSON {
		issues := jcs.Arr()
		for _, issue := range broken.Issues {
			issues.Items = append(issues.Items, jcs.Str(issue))
		}
		return cmd.PrintJSON(s.Out, cmd.Answer("lock check", "lockfile_invalid", cmd.ExitTampered, jcs.M("path", jcs.Loose(path)), jcs.M("issues", issues)))
	}
	w := new(strings.Builder)
	fmt.Fprintf(w, "invalid %s\n", cmd.Safe(path))
	for _, issue := range broken.Issues {
		fmt.Fprintf(w, "  issue %s\n", cmd.Safe(issue))
	}
	_, err := io.WriteString(s.Out, w.String())
	return err
}

func lockDiffCmd(s cmd.Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say what a new lock demands more and less than an old one",
		Long: `diff compares what two locks demand of packs, in words. It exits 0 if the new one demands all that
the old one did, 1 if something became weaker or may have, 2 if one of them is invalid, and 3 if one is
not there. In a pull request compare the lock of the base branch with the proposed one.`,
		Example: "  assay lock diff base.lock assay.lock",
		Args:    cmd.Args(cobra.ExactArgs(2), "an old and a new lock file"),
		RunE: func(c *cobra.Command, args []string) error {
			old, err := expect.ReadLock(args[0])
			if err != nil {
				return err
			}
			l, err := expect.ReadLock(args[1])
			if err != nil {
				return err
			}
			return tellDiff(s, pack.DiffLocks(old, l), old.Digest() == l.Digest(), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object on stdout")
	return c
}

func tellDiff(s cmd.Streams, changes []pack.LockChange, identical, asJSON bool) error {
	code, status, words := cmd.ExitPass, "same", "both demand the same"
	if identical {
		words = "the files are the same"
	}
	if len(changes) > 0 {
		status, words = "changed", "nothing became weaker"
	}
	if slices.ContainsFunc(changes, func(c pack.LockChange) bool { return c.Effect == pack.Weaker }) {
		code, status, words = cmd.ExitHonestFail, "weaker", "the new lock demands less than the old one, or may"
	}
	w, list := new(strings.Builder), jcs.Arr()
	for _, change := range changes {
		fmt.Fprintf(w, "%-8s %s\n", change.Effect, cmd.Safe(change.Message))
		list.Items = append(list.Items, jcs.Obj(jcs.M("effect", jcs.Str(string(change.Effect))), jcs.M("message", jcs.Str(change.Message))))
	}
	if asJSON {
		return cmd.Judged(code, cmd.PrintJSON(s.Out, cmd.Answer("lock diff", status, code, jcs.M("changes", list))))
	}
	fmt.Fprintf(w, "verdict  exit %d: %s\n", code, words)
	_, err := io.WriteString(s.Out, w.String())
	return cmd.Judged(code, err)
}
