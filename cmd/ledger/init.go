package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

type initFlags struct {
	origin, url, listen, timestamps, tsaRoots, guard string
	witnesses, tsa                                   []string
	quorum                                           int
}

func initCmd(s cli.Streams) *cobra.Command {
	var o initFlags
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a new ledger: its key, its policy, an empty log",
		Long: `init makes a ledger directory: a fresh log key (readable by you alone), ledger.json, a
C2SP tlog-policy that says which witnesses must cosign, and an empty log with its guard.
Nothing is published before the quorum of the policy is met.

The guard remembers what was signed. It lies beside DIR, in DIR.guard, so that a backup of DIR
does not take it along: a log that is restored from a backup together with its guard has forgotten
what was signed since, and only its witnesses could tell.`,
		Example: `  ledger init ./myledger --origin ledger.example/2026 --timestamps off
  ledger init ./myledger --origin ledger.example/2026 --tsa https://tsa.example/ --tsa-roots roots.pem \
    --witness w1.witness --witness "w2 w2.example+5b2fd4a5+BEk… https://w2.example" --quorum 2`,
		Args: cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			d := ledgerHome(args[0])
			if err := emptyOrMissing(string(d)); err != nil {
				return err
			}
			made, err := o.plan(d)
			if err != nil {
				return err
			}
			guard := d.guard(made.conf.Guard)
			if around, err := ledger.Within(string(d), guard); err != nil {
				return err
			} else if around {
				return cli.BadInput("name another directory with --guard, or none",
					"the guard %s and the ledger %s would be the same directory, or one around it: what restores one must not restore the other", guard, string(d))
			}
			if err := emptyOrMissing(guard); err != nil {
				return err
			}
			if err := made.write(c.Context(), d); err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "made ledger %s in %s\nlog vkey: %s\n", o.origin, string(d), made.vkey)
			fmt.Fprintf(s.Err, "SHA-256 of the log vkey: %x; say it where people can compare it\n", sha256.Sum256([]byte(made.vkey)))
			nextSteps(s, d, made)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.origin, "origin", "", "name of the log, such as ledger.example/2026 (required)")
	f.StringVar(&o.url, "url", "", "public URL of the log, written into the policy")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address that 'ledger serve' listens on")
	f.StringArrayVar(&o.witnesses, "witness", nil, `a witness as "NAME VKEY URL", or the file that its 'ledger witness init --url' made (repeat for more)`)
	f.IntVar(&o.quorum, "quorum", 0, "how many witnesses must cosign (default: the majority)")
	f.StringVar(&o.timestamps, "timestamps", "require", "require, prefer or off")
	f.StringArrayVar(&o.tsa, "tsa", nil, "URL of an RFC 3161 authority, tried in order (repeat for more)")
	f.StringVar(&o.tsaRoots, "tsa-roots", "", "PEM file with the roots that timestamps must chain to")
	f.StringVar(&o.guard, "guard", "", "directory of the guard, better on another disk (default: DIR.guard, beside DIR)")
	_ = c.MarkFlagRequired("origin")
	return c
}

// newLedger is what init is about to write: all that can be wrong with the flags is found before.
type newLedger struct {
	conf                 ledgerConfig
	confText, policyText []byte
	policy               *trust.Policy
	roots                *timestamp.Roots // nil: none
	secret, vkey         string
}

func (o *initFlags) plan(d ledgerHome) (*newLedger, error) {
	n := &newLedger{conf: ledgerConfig{Origin: o.origin, Listen: o.listen, Timestamps: ledger.TimestampMode(o.timestamps), TSA: o.tsa}}
	err := n.conf.check()
	if err != nil {
		return nil, err
	}
	if o.guard == "" {
		n.conf.Guard, err = d.beside()
	} else { // ledger.json is read from wherever serve is started
		n.conf.Guard, err = filepath.Abs(o.guard)
	}
	if err != nil {
		return nil, err
	}
	if n.roots, err = o.readRoots(); err != nil {
		return nil, err
	}
	witnesses, err := parseWitnesses(o.witnesses)
	if err != nil {
		return nil, err
	}
	quorum, err := o.quorumOf(len(witnesses))
	if err != nil {
		return nil, err
	}
	if n.secret, n.vkey, err = newKey(o.origin, trust.Ed25519); err != nil {
		return nil, cli.BadInput("an origin is a name like ledger.example/2026: no spaces, no '+'", "origin: %v", err)
	}
	n.policyText = trust.FormatPolicy([]trust.PolicyLog{{Origin: o.origin, VKey: n.vkey, URL: o.url}}, witnesses, quorum)
	if n.policy, err = parsePolicy(n.policyText); err != nil {
		return nil, cli.BadInput(`check --origin, --url and --witness "NAME VKEY URL"`, "%v", err)
	}
	for _, w := range n.policy.Witnesses() {
		if w.KeyName == o.origin { // it would not follow this log, so there would never be a quorum
			return nil, cli.BadInput("choose another --origin", "a log cannot have the name of its witness, %q", o.origin)
		}
	}
	n.confText, err = n.conf.marshal()
	if err == nil && len(n.confText) > maxConfig {
		return nil, cli.BadInput("", "ledger.json would have %d bytes, at most %d are read", len(n.confText), maxConfig)
	}
	return n, err
}

func (o *initFlags) readRoots() (*timestamp.Roots, error) {
	if o.tsaRoots == "" {
		if o.timestamps == string(ledger.TimestampsOff) {
			return nil, nil
		}
		return nil, cli.BadInput("give --tsa-roots FILE, or --timestamps off", "without the roots of a timestamp authority no timestamp could be believed")
	}
	return readRoots(o.tsaRoots)
}

func (o *initFlags) quorumOf(witnesses int) (int, error) {
	switch {
	case o.quorum == 0 && witnesses > 0:
		return witnesses/2 + 1, nil
	case o.quorum < 0 || o.quorum > witnesses:
		return 0, cli.BadInput(`name each witness with --witness "NAME VKEY URL"`, "a quorum of %d cannot be met: the number of witnesses is %d", o.quorum, witnesses)
	}
	return o.quorum, nil
}

// write makes the files. Of several inits of one directory exactly one gets beyond the claim; one that fails
// leaves the directory as it was.
func (n *newLedger) write(ctx context.Context, d ledgerHome) (err error) {
	var m newFiles
	defer func() {
		if err != nil {
			m.discard()
		}
	}()
	if err := m.claim(string(d)); err != nil {
		return err
	}
	if err := m.file(d.key(), []byte(n.secret+"\n"), 0o600); err != nil {
		return err
	}
	files := map[string][]byte{d.policy(): n.policyText, d.config(): n.confText}
	if n.roots != nil {
		files[d.roots()] = n.roots.PEM()
	}
	for path, text := range files {
		if err := m.file(path, text, 0o644); err != nil {
			return err
		}
	}
	logConfig, err := openConfig(d, n.conf, nil, nil) // no logger: Tessera tells of every file that is not there yet
	if err != nil {
		return err
	}
	if err := m.dir(d.log(), 0o755); err != nil {
		return err
	}
	if err := ledger.Create(ctx, logConfig); err != nil {
		_ = os.RemoveAll(d.log()) // all in it is Tessera's; Create has taken away what it made of the guard
		return err
	}
	return nil
}

// parseWitnesses reads --witness flags: the words of a policy line, or a file that holds one.
func parseWitnesses(flags []string) ([]trust.PolicyWitness, error) {
	var witnesses []trust.PolicyWitness
	for _, flag := range flags {
		words := strings.Fields(flag)
		if _, err := os.Lstat(flag); err == nil || len(words) == 1 {
			w, err := cli.ReadAs(flag, maxWitnessLine, "it is what 'ledger witness init --url' makes: witness NAME VKEY URL", parseWitnessLine)
			if err != nil {
				return nil, err
			}
			witnesses = append(witnesses, w)
			continue
		}
		if len(words) != 3 {
			return nil, cli.BadInput(`write --witness "NAME VKEY URL", or name the file that 'ledger witness init --url' made`, "witness %q has %d words, not 3", flag, len(words))
		}
		witnesses = append(witnesses, trust.PolicyWitness{Name: words[0], VKey: words[1], URL: words[2]})
	}
	return witnesses, nil
}

func nextSteps(s cli.Streams, d ledgerHome, made *newLedger) {
	if strings.Contains(made.conf.Origin, "://") {
		fmt.Fprintf(s.Err, "warning: an origin is a name and carries no scheme: ledger.example/2026, not %s; it cannot be changed later\n", made.conf.Origin)
	}
	for _, note := range ledger.PolicyNotes(made.policy) {
		fmt.Fprintf(s.Err, "note: %s\n", note)
	}
	if len(made.policy.Witnesses()) == 0 {
		fmt.Fprintf(s.Err, `Witnesses that 'ledger init' is told of (--witness FILE) need no editing. When one gives you its vkey and URL later, write these lines into %s in place of "quorum none":
  witness w1 VKEY URL
  group witnesses 1 w1
  quorum witnesses
`, d.policy())
	} else {
		fmt.Fprintf(s.Err, "give %s to every witness, for 'ledger witness follow': nothing is published before a quorum follows this log\n", d.policy())
	}
	if made.conf.Timestamps == ledger.TimestampsOff {
		fmt.Fprintf(s.Err, "note: timestamps are off, so the times in this log are your own clock's\n")
	}
	if guard := d.guard(made.conf.Guard); d.holds(guard) {
		fmt.Fprintf(s.Err, "warning: the guard %s lies inside %s, so a backup takes it along: a log that is restored with its guard has forgotten what was signed since\n", guard, string(d))
	} else {
		fmt.Fprintf(s.Err, "guard: %s; leave it out of backups of %s: a log that is restored with its guard has forgotten what was signed since\n", guard, string(d))
	}
	fmt.Fprintf(s.Err, "back up %s and keep it secret\nnext: ledger serve %s\n", d.key(), string(d))
}
