package main

import (
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/trust"
)

func initCmd(s cmd.Streams) *cobra.Command {
	var o struct {
		origin, url, listen, timestamps, tsaRoots, guard string
		witnesses, tsa                                   []string
		quorum                                           int
	}
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a new ledger: its key, its policy, an empty log",
		Long: `init makes a ledger directory: a fresh log key (readable by you alone), ledger.json, a
C2SP tlog-policy that says which witnesses must cosign, and an empty log with its guard.
Nothing is published before the quorum of the policy is met.`,
		Example: `  ledger init ./myledger --origin ledger.example/2026 --timestamps off
  ledger init ./myledger --origin ledger.example/2026 --tsa https://tsa.example/ --tsa-roots roots.pem \
    --witness "w1 w1.example+5b2fd4a5+BEk… https://w1.example" --quorum 1`,
		Args: cmd.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			d := dir(args[0])
			if err := emptyOrMissing(string(d)); err != nil {
				return err
			}
			conf := config{Origin: o.origin, Listen: o.listen, Timestamps: ledger.TimestampMode(o.timestamps), TSA: o.tsa, Guard: o.guard}
			if err := conf.check(); err != nil {
				return err
			}
			witnesses, err := parseWitnesses(o.witnesses)
			if err != nil {
				return err
			}
			if o.quorum == 0 && len(witnesses) > 0 {
				o.quorum = len(witnesses)/2 + 1
			}
			secret, vkey, err := trust.GenerateKey(rand.Reader, o.origin, trust.Ed25519)
			if err != nil {
				return cmd.BadInput("an origin is a name like ledger.example/2026: no spaces, no '+'", "origin: %v", err)
			}
			policyText := trust.FormatPolicy([]trust.PolicyLog{{Origin: o.origin, VKey: vkey, URL: o.url}}, witnesses, o.quorum)
			if _, err := trust.ParsePolicy(policyText); err != nil {
				return cmd.BadInput("", "%v", err)
			}
			confText, err := conf.marshal()
			if err != nil {
				return err
			}
			files := map[string][]byte{d.policy(): policyText, d.config(): confText}
			if o.tsaRoots != "" {
				roots, err := cmd.ReadFile(o.tsaRoots, 1<<20)
				if err != nil {
					return err
				}
				if _, err := parseRoots(roots); err != nil {
					return cmd.BadInput("", "%s: %v", o.tsaRoots, err)
				}
				files[d.roots()] = roots
			}
			if err := writeKey(d.key(), secret); err != nil {
				return err
			}
			for path, text := range files {
				if err := durable.CreateFile(path, text, 0o644); err != nil {
					return err
				}
			}
			logConfig, err := openConfig(d, conf, nil, logger(s))
			if err != nil {
				return err
			}
			if err := ledger.Create(c.Context(), logConfig); err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "made ledger %s in %s\nlog vkey: %s\n", o.origin, string(d), vkey)
			nextSteps(s, d, conf, len(witnesses))
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.origin, "origin", "", "name of the log, such as ledger.example/2026 (required)")
	f.StringVar(&o.url, "url", "", "public URL of the log, written into the policy")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address that 'ledger serve' listens on")
	f.StringArrayVar(&o.witnesses, "witness", nil, `a witness as "NAME VKEY URL" (repeat for more)`)
	f.IntVar(&o.quorum, "quorum", 0, "how many witnesses must cosign (default: the majority)")
	f.StringVar(&o.timestamps, "timestamps", "require", "require, prefer or off")
	f.StringArrayVar(&o.tsa, "tsa", nil, "URL of an RFC 3161 authority, tried in order (repeat for more)")
	f.StringVar(&o.tsaRoots, "tsa-roots", "", "PEM file with the roots that timestamps must chain to")
	f.StringVar(&o.guard, "guard", "", "directory of the guard, better on another disk (default: DIR/guard)")
	_ = c.MarkFlagRequired("origin")
	return c
}

// parseWitnesses reads --witness flags, which have the words of a policy line.
func parseWitnesses(flags []string) ([]trust.PolicyWitness, error) {
	var witnesses []trust.PolicyWitness
	for _, flag := range flags {
		words := strings.Fields(flag)
		if len(words) != 3 {
			return nil, cmd.BadInput(`write --witness "NAME VKEY URL"`, "witness %q has %d words, not 3", flag, len(words))
		}
		witnesses = append(witnesses, trust.PolicyWitness{Name: words[0], VKey: words[1], URL: words[2]})
	}
	return witnesses, nil
}

func nextSteps(s cmd.Streams, d dir, conf config, witnesses int) {
	if witnesses == 0 {
		fmt.Fprintf(s.Err, "note: no witness yet, so nobody but you vouches that this log never forks; add witness, group and quorum lines to %s\n", d.policy())
	}
	if conf.Timestamps == ledger.TimestampsOff {
		fmt.Fprintf(s.Err, "note: timestamps are off, so the times in this log are your own clock's\n")
	}
	fmt.Fprintf(s.Err, "back up %s and keep it secret\nnext: ledger serve %s\n", d.key(), string(d))
}
