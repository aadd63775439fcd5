package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/witness"
)

// A witness directory:
//
//	policy                 C2SP tlog-policy: its log lines are whom we cosign, quorum none
//	keys/ALGORITHM.key     one key an algorithm (0600)
//	ALGORITHM.witness      with --url: the line of a policy that says who we are, for the operators of logs
//	witness.db             the latest cosigned checkpoint of each log; never restore it from a backup
var witnessKeys = []struct {
	flag, file string
	algorithm  trust.Algorithm
}{
	{"ed25519", "ed25519.key", trust.Ed25519Cosigner},
	{"ml-dsa-44", "ml-dsa-44.key", trust.MLDSA44Cosigner},
}

func witnessCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "witness",
		Short: "Cosign the checkpoints of logs (C2SP tlog-witness)",
		Args:  cli.Args(cobra.NoArgs, "a subcommand: init, follow or serve"),
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.BadInput("run 'ledger witness --help'", "witness wants a subcommand: init, follow or serve")
		},
	}
	c.AddCommand(witnessInitCmd(s), witnessFollowCmd(s), witnessServeCmd(s))
	return c
}

type witnessFlags struct {
	name, algorithm, url string
	logs                 []string
}

func witnessInitCmd(s cli.Streams) *cobra.Command {
	var o witnessFlags
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a new witness: its keys and the logs it cosigns",
		Long: `init makes the keys of a witness and prints their vkeys, the public keys with their name. With --url it
writes DIR/ALGORITHM.witness too, which says who the witness is and where it serves: give that file to the
operator of a log, for 'ledger init --witness FILE'. With the policy that comes back, 'ledger witness follow'
makes the witness cosign that log.`,
		Example: `  ledger witness init ./w1 --name w1.example --url https://w1.example
  ledger witness init ./w1 --name w1.example --log "ledger.example/2026+d3a91c1f+ATc…"
  ledger witness init ./w2 --name w2.example --algorithm ml-dsa-44`,
		Args: cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := emptyOrMissing(args[0]); err != nil {
				return err
			}
			logs := make([]trust.PolicyLog, len(o.logs))
			for i, vkey := range o.logs {
				logs[i] = trust.PolicyLog{VKey: vkey}
			}
			text := trust.FormatPolicy(logs, nil, 0)
			policy, err := parsePolicy(text)
			if err != nil {
				return cli.BadInput("--log takes the vkey that 'ledger init' printed", "%v", err)
			}
			if slices.ContainsFunc(policy.Logs(), func(l trust.PolicyLog) bool { return l.Origin == o.name }) {
				return sameName(o.name)
			}
			made, err := o.plan()
			if err != nil {
				return err
			}
			if err := made.write(args[0], text); err != nil {
				return err
			}
			fmt.Fprint(s.Out, made.vkeys)
			o.nextSteps(s, args[0], made)
			return nil
		},
	}
	c.Flags().StringVar(&o.name, "name", "", "name of the witness, such as w1.example (required)")
	c.Flags().StringVar(&o.algorithm, "algorithm", "ed25519", "ed25519, ml-dsa-44 or both")
	c.Flags().StringArrayVar(&o.logs, "log", nil, "vkey of a log to cosign (repeat for more)")
	c.Flags().StringVar(&o.url, "url", "", "URL under which logs will reach the witness, for DIR/ALGORITHM.witness")
	_ = c.MarkFlagRequired("name")
	return c
}

// newWitness is what init is about to write.
type newWitness struct {
	secrets map[string]string // by file in keys/
	lines   map[string]string // by file: the line of a policy
	vkeys   string            // as they are printed
}

// plan makes the keys, and what the world gets to know of them.
func (o *witnessFlags) plan() (*newWitness, error) {
	made := &newWitness{secrets: map[string]string{}, lines: map[string]string{}}
	for _, k := range witnessKeys {
		if o.algorithm != k.flag && o.algorithm != "both" {
			continue
		}
		secret, vkey, err := newKey(o.name, k.algorithm)
		if err != nil {
			return nil, cli.BadInput("a name is like w1.example: no spaces, no '+'", "name: %v", err)
		}
		made.secrets[k.file] = secret
		made.vkeys += fmt.Sprintf("%s vkey: %s\n", k.flag, vkey)
		name := o.name
		if o.algorithm == "both" && k.algorithm != trust.Ed25519Cosigner {
			name += "." + k.flag // a policy that has both lines wants two names
		}
		line, err := witnessLine(name, vkey, o.url) // without a URL too: the operator of a log will write it
		if err != nil {
			return nil, cli.BadInput("such as --name w1.example --url https://w1.example", "--name and --url: %v", err)
		}
		if o.url != "" {
			made.lines[k.flag+".witness"] = line
		}
	}
	if len(made.secrets) == 0 {
		return nil, cli.BadInput("", "algorithm %q is not ed25519, ml-dsa-44 or both", o.algorithm)
	}
	return made, nil
}

// write makes the files of a witness, or leaves dir as it was.
func (n *newWitness) write(dir string, policy []byte) (err error) {
	var m newFiles
	defer func() {
		if err != nil {
			m.discard()
		}
	}()
	if err := m.claim(dir); err != nil {
		return err
	}
	for name, secret := range n.secrets {
		if err := m.file(filepath.Join(dir, "keys", name), []byte(secret+"\n"), 0o600); err != nil {
			return err
		}
	}
	for name, line := range n.lines {
		if err := m.file(filepath.Join(dir, name), []byte(line), 0o644); err != nil {
			return err
		}
	}
	return m.file(filepath.Join(dir, "policy"), policy, 0o644)
}

func (o *witnessFlags) nextSteps(s cli.Streams, dir string, made *newWitness) {
	for line := range strings.Lines(made.vkeys) {
		_, vkey, _ := strings.Cut(strings.TrimSpace(line), " vkey: ")
		fmt.Fprintf(s.Err, "SHA-256 of the vkey: %x; say it where people can compare it\n", sha256.Sum256([]byte(vkey)))
	}
	if len(made.lines) == 0 {
		fmt.Fprintf(s.Err, "give the log's operator each vkey above and the URL where you will serve\n")
	}
	for _, name := range slices.Sorted(maps.Keys(made.lines)) {
		fmt.Fprintf(s.Err, "give the log's operator %s, for 'ledger init --witness FILE'\n", filepath.Join(dir, name))
	}
	if len(o.logs) == 0 {
		fmt.Fprintf(s.Err, "next, with the policy or the vkey that the log's operator gives you: ledger witness follow %s POLICY\n", dir)
	} else {
		fmt.Fprintf(s.Err, "next: ledger witness serve %s\n", dir)
	}
}

func witnessServeCmd(s cli.Streams) *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:     "serve DIR",
		Short:   "Answer add-checkpoint",
		Example: "  ledger witness serve ./w1 --listen 127.0.0.1:8081",
		Args:    cli.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			policy, err := readPolicy(filepath.Join(args[0], "policy"))
			if err != nil {
				return err
			}
			if len(policy.Logs()) == 0 {
				return cli.BadInput("name one: ledger witness follow "+args[0]+" POLICY", "%s names no log to cosign", filepath.Join(args[0], "policy"))
			}
			cosigners, err := readCosigners(filepath.Join(args[0], "keys"))
			if err != nil {
				return err
			}
			store, err := witness.OpenSQLite(filepath.Join(args[0], "witness.db"))
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, store.Close()) }()
			log := newLogger(s)
			w, err := witness.New(witness.Config{Policy: policy, Cosigners: cosigners, Store: store, Log: log})
			if err != nil {
				return err
			}
			return listenAndServe(c.Context(), s, address, w.Handler(), log, serve.Limits{})
		},
	}
	c.Flags().StringVar(&address, "listen", "127.0.0.1:8081", "address to listen on")
	return c
}

func readCosigners(keys string) ([]*trust.Cosigner, error) {
	var cosigners []*trust.Cosigner
	for _, k := range witnessKeys {
		path := filepath.Join(keys, k.file)
		secret, err := readKey(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		c, err := trust.NewCosigner(secret)
		if err != nil {
			return nil, cli.BadInput("", "%s: %v", path, err)
		}
		cosigners = append(cosigners, c)
	}
	if len(cosigners) == 0 {
		return nil, cli.BadInput("make a witness with 'ledger witness init DIR --name NAME'", "no witness key in %s", keys)
	}
	return cosigners, nil
}
