package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/trust"
)

// A new ledger and its witnesses have to name each other, and each belongs to somebody else. So each side gives
// the other a file, and nobody edits one:
//
//	witness init --url  →  ALGORITHM.witness, the line of a policy  →  init --witness FILE
//	init                →  policy, which names the log's key        →  witness follow DIR FILE

// maxWitnessLine is enough for the longest vkey, which is of ML-DSA-44.
const maxWitnessLine = 16 << 10

// parsePolicy is trust.ParsePolicy for what this program writes into a policy, or has from somebody else. C2SP allows
// names and URLs that nobody can compare by eye; we make none.
func parsePolicy(text []byte) (*trust.Policy, error) {
	policy, err := trust.ParsePolicy(text)
	if err != nil {
		return nil, err
	}
	if err := terminal.Printable(policy.Text()); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return policy, nil
}

// witnessLine is the line of a policy for one key of a witness, as parseWitnessLine takes it.
func witnessLine(name, vkey, url string) (string, error) {
	text := trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: name, VKey: vkey, URL: url}}, 0)
	if _, err := parsePolicy(text); err != nil {
		return "", err
	}
	line := bytes.TrimSuffix(text, []byte("quorum none\n"))
	if len(line) > maxWitnessLine {
		return "", fmt.Errorf("the line of the witness would have %d bytes, at most %d are read", len(line), maxWitnessLine)
	}
	return string(line), nil
}

func parseWitnessLine(text []byte) (w trust.PolicyWitness, err error) {
	policy, err := parsePolicy(slices.Concat(text, []byte("quorum none\n")))
	if err != nil {
		return w, err
	}
	switch found := policy.Witnesses(); {
	case len(found) != 1 || len(policy.Logs()) > 0:
		return w, fmt.Errorf("it names %d witnesses and %d logs, want one witness alone", len(found), len(policy.Logs()))
	case found[0].URL == "":
		return w, errors.New("the witness has no URL, so it would never be asked")
	default:
		return found[0], nil
	}
}

func witnessFollowCmd(s cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "follow DIR POLICY",
		Short: "Make a witness cosign one more log",
		Long: `follow adds a log to those that the witness in DIR cosigns. POLICY is the policy file of the ledger, of
which only the log's line is taken, or the vkey of the log itself. A witness that runs reads it at its next start.

Who follows a log vouches from its first cosignature on that this log only grows, and for nothing that is in it.`,
		Example: `  ledger witness follow ./w1 policy
  ledger witness follow ./w1 "ledger.example/2026+d3a91c1f+ATc…"`,
		Args: cli.Args(cobra.ExactArgs(2), "the directory of a witness, and the policy or the vkey of a log"),
		RunE: func(c *cobra.Command, args []string) error {
			log, err := logToFollow(args[1])
			if err != nil {
				return err
			}
			unlock, err := lockDir(c.Context(), args[0]) // two of them at once would lose one log
			if err != nil {
				return err
			}
			defer unlock()
			added, err := addLog(args[0], log)
			if err != nil {
				return err
			}
			word := "follows"
			if !added {
				word = "followed already"
			}
			if _, err := fmt.Fprintf(s.Out, "%s: %s\nlog vkey: %s\nSHA-256 of the vkey: %x\n", word, log.Origin, log.VKey, sha256.Sum256([]byte(log.VKey))); err != nil {
				return err
			}
			fmt.Fprintf(s.Err, "compare the key with what the log's operator says elsewhere; then: ledger witness serve %s (one that runs: start it again)\n", args[0])
			return nil
		},
	}
}

// logToFollow is the one log of a policy file, or of a vkey.
func logToFollow(named string) (trust.PolicyLog, error) {
	text := trust.FormatPolicy([]trust.PolicyLog{{VKey: named}}, nil, 0)
	policy, err := trust.ParsePolicy(text)
	if err != nil { // no vkey, so a file
		if policy, err = readPolicy(named); errors.Is(err, fs.ErrNotExist) {
			return trust.PolicyLog{}, cli.BadInput("POLICY is the policy file of a ledger, or the vkey that 'ledger init' printed", "%s is neither a file nor a vkey", named)
		} else if err != nil {
			return trust.PolicyLog{}, err
		}
	}
	logs := policy.Logs()
	if len(logs) != 1 {
		return trust.PolicyLog{}, cli.BadInput("the policy of a ledger names that ledger", "%s names %d logs, want one", named, len(logs))
	}
	return logs[0], nil
}

// addLog writes the line of a log into the policy of a witness, in one step, and says whether it was not there.
func addLog(dir string, log trust.PolicyLog) (added bool, err error) {
	cosigners, err := readCosigners(filepath.Join(dir, "keys"))
	if err != nil {
		return false, err
	}
	for _, c := range cosigners {
		if c.Name() == log.Origin {
			return false, sameName(log.Origin)
		}
	}
	path := filepath.Join(dir, "policy")
	text, err := cli.ReadFile(path, trust.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return false, cli.BadInput("make a witness with 'ledger witness init DIR --name NAME'", "%s is no witness: it has no policy", dir)
	} else if err != nil {
		return false, err
	}
	policy, err := trust.ParsePolicy(text)
	if err != nil {
		return false, cli.BadInput("see c2sp.org/tlog-policy", "%s: %w", path, err)
	}
	for _, l := range policy.Logs() {
		if l.VKey == log.VKey {
			return false, nil
		}
		if l.Origin == log.Origin {
			return false, cli.BadInput("a log that changes its key is another log, under another origin", "%s follows %s under another key, %s", dir, l.Origin, l.VKey)
		}
	}
	// The line goes into the text, and the policy is not written anew: comments and order are the operator's. It stands
	// before the quorum, where people look for it.
	line := "log " + log.VKey + "\n"
	if before, quorum, ok := strings.Cut("\n"+string(text), "\nquorum "); ok {
		text = []byte(strings.TrimPrefix(before+"\n"+line+"quorum "+quorum, "\n"))
	} else {
		text = append(text, line...)
	}
	if err := terminal.Printable([]byte(line)); err != nil {
		return false, cli.BadInput("a log has a name that can be compared by eye", "the log's key: %w", err)
	}
	if _, err := trust.ParsePolicy(text); err != nil { // before it is written: a witness with a broken policy does not start
		return false, cli.BadInput("", "%s would not be a policy any more: %w", path, err)
	}
	return true, durable.WriteFile(path, text, 0o644)
}

// sameName: a log that signs under the name of a witness could pass its signatures off as cosignatures.
func sameName(name string) error {
	return cli.BadInput("choose a name of your own", "a witness cannot have the name of a log it cosigns, %q", name)
}

// lockDir is for commands that change what is in a directory: one at a time, whatever ends it.
func lockDir(ctx context.Context, dir string) (unlock func(), err error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, cli.BadInput("", "%s is no directory", dir)
	}
	lock := flock.New(dir, flock.SetFlag(os.O_RDONLY))
	patient, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	if _, err := lock.TryLockContext(patient, 10*time.Millisecond); ctx.Err() != nil {
		_ = lock.Unlock()
		return nil, cli.Unavailable("", "interrupted")
	} else if err != nil {
		return nil, cli.Unavailable("", "another command works in %s: %w", dir, err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// lockPatience is more than the other command takes.
const lockPatience = 2 * time.Minute
