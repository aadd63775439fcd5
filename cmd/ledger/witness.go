package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/witness"
)

// A witness directory:
//
//	policy                 C2SP tlog-policy: its log lines are whom we cosign, quorum none
//	keys/NAME.key          one key an algorithm (0600)
//	witness.db             the latest cosigned checkpoint of each log; never restore it from a backup
var witnessKeys = []struct {
	flag, file string
	algorithm  trust.Algorithm
}{
	{"ed25519", "ed25519.key", trust.Ed25519Cosigner},
	{"ml-dsa-44", "ml-dsa-44.key", trust.MLDSA44Cosigner},
}

func witnessCmd(s cmd.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "witness",
		Short: "Cosign the checkpoints of logs (C2SP tlog-witness)",
		Args:  cmd.Args(cobra.NoArgs, "a subcommand: init or serve"),
		RunE: func(c *cobra.Command, _ []string) error {
			return cmd.BadInput("run 'ledger witness --help'", "witness wants a subcommand: init or serve")
		},
	}
	c.AddCommand(witnessInitCmd(s), witnessServeCmd(s))
	return c
}

type witnessFlags struct {
	name, algorithm string
	logs            []string
}

func witnessInitCmd(s cmd.Streams) *cobra.Command {
	var o witnessFlags
	c := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a new witness: its keys and the logs it cosigns",
		Example: `  ledger witness init ./w1 --name w1.example --log "ledger.example/2026+d3a91c1f+ATc…"
  ledger witness init ./w2 --name w2.example --algorithm ml-dsa-44`,
		Args: cmd.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := emptyOrMissing(args[0]); err != nil {
				return err
			}
			logs := make([]trust.PolicyLog, len(o.logs))
			for i, vkey := range o.logs {
				logs[i] = trust.PolicyLog{VKey: vkey}
			}
			text := trust.FormatPolicy(logs, nil, 0)
			policy, err := trust.ParsePolicy(text)
			if err != nil {
				return cmd.BadInput("--log takes the vkey that 'ledger init' printed", "%v", err)
			}
			// A log that signs under our name could pass its signatures off as our cosignatures.
			if slices.ContainsFunc(policy.Logs(), func(l trust.PolicyLog) bool { return l.Origin == o.name }) {
				return cmd.BadInput("choose a name of your own", "a witness cannot have the name of a log it cosigns, %q", o.name)
			}
			keys, vkeys, err := o.keys()
			if err != nil {
				return err
			}
			if err := writeWitness(args[0], text, keys); err != nil {
				return err
			}
			fmt.Fprint(s.Out, vkeys)
			fmt.Fprintf(s.Err, "give the log's operator each vkey above and the URL where you will serve\n")
			if len(logs) == 0 {
				fmt.Fprintf(s.Err, "next: put the line 'log VKEY' that 'ledger init' prints before 'quorum none' in %s, then ledger witness serve %s\n", filepath.Join(args[0], "policy"), args[0])
			} else {
				fmt.Fprintf(s.Err, "next: ledger witness serve %s\n", args[0])
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.name, "name", "", "name of the witness, such as w1.example (required)")
	c.Flags().StringVar(&o.algorithm, "algorithm", "ed25519", "ed25519, ml-dsa-44 or both")
	c.Flags().StringArrayVar(&o.logs, "log", nil, "vkey of a log to cosign (repeat for more)")
	_ = c.MarkFlagRequired("name")
	return c
}

// keys makes the keys: what files of keys/ hold, and a line for each vkey.
func (o *witnessFlags) keys() (files map[string]string, vkeys string, err error) {
	files = map[string]string{}
	for _, k := range witnessKeys {
		if o.algorithm != k.flag && o.algorithm != "both" {
			continue
		}
		secret, vkey, err := newKey(o.name, k.algorithm)
		if err != nil {
			return nil, "", cmd.BadInput("a name is like w1.example: no spaces, no '+'", "name: %v", err)
		}
		files[k.file] = secret
		vkeys += fmt.Sprintf("%s vkey: %s\n", k.flag, vkey)
	}
	if len(files) == 0 {
		return nil, "", cmd.BadInput("", "algorithm %q is not ed25519, ml-dsa-44 or both", o.algorithm)
	}
	return files, vkeys, nil
}

// writeWitness makes the files of a witness, or leaves dir as it was.
func writeWitness(dir string, policy []byte, keys map[string]string) (err error) {
	var m made
	defer func() {
		if err != nil {
			m.discard()
		}
	}()
	if err := m.claim(dir); err != nil {
		return err
	}
	for name, secret := range keys {
		if err := m.file(filepath.Join(dir, "keys", name), []byte(secret+"\n"), 0o600); err != nil {
			return err
		}
	}
	return m.file(filepath.Join(dir, "policy"), policy, 0o644)
}

func witnessServeCmd(s cmd.Streams) *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:     "serve DIR",
		Short:   "Answer add-checkpoint",
		Example: "  ledger witness serve ./w1 --listen 127.0.0.1:8081",
		Args:    cmd.Args(cobra.ExactArgs(1), "one directory"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			policy, err := readPolicy(filepath.Join(args[0], "policy"))
			if err != nil {
				return err
			}
			if len(policy.Logs()) == 0 {
				return cmd.BadInput("put a line 'log VKEY' before 'quorum none' in it", "%s names no log to cosign", filepath.Join(args[0], "policy"))
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
			log := logger(s)
			w, err := witness.New(witness.Config{Policy: policy, Cosigners: cosigners, Store: store, Log: log})
			if err != nil {
				return err
			}
			return listen(c.Context(), s, address, w.Handler(), log, witness.Serve)
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
			return nil, cmd.BadInput("", "%s: %v", path, err)
		}
		cosigners = append(cosigners, c)
	}
	if len(cosigners) == 0 {
		return nil, cmd.BadInput("make a witness with 'ledger witness init DIR --name NAME'", "no witness key in %s", keys)
	}
	return cosigners, nil
}
