package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyCmd(s cmd.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make and list signing keys",
		Long: `key looks after the Ed25519 keys in $ASSAY_HOME/keys (default: ~/.assay/keys). 'assay run' makes
the first one by itself. Whoever verifies needs the fingerprint, never the key.`,
		Example: `  assay key generate
  assay key list`,
	}
	c.AddCommand(keyGenerateCmd(s), keyListCmd(s), keyInfoCmd(s))
	return c
}

func keyGenerateCmd(s cmd.Streams) *cobra.Command {
	var keepActive bool
	c := &cobra.Command{
		Use:     "generate [ID]",
		Short:   "Make an Ed25519 signing key and make it the active one",
		Example: "  assay key generate ci-key",
		Args:    cmd.Args(cobra.MaximumNArgs(1), "at most one id"),
		RunE: func(_ *cobra.Command, args []string) error {
			h, err := openHome(s)
			if err != nil {
				return err
			}
			id := keystore.DefaultID
			if len(args) == 1 {
				id = args[0]
			}
			holdKey()
			key, err := h.keys().Generate(rand.Reader, id)
			if errors.Is(err, keystore.ErrExists) {
				return cmd.BadInput("see it with 'assay key info "+id+"'", "key %s exists", id)
			} else if err != nil {
				return err
			}
			if !keepActive {
				if err := h.keys().SetActive(id); err != nil {
					return err
				}
			}
			fmt.Fprintf(s.Err, "the secret key is in %s; nobody else should ever read it\n", cmd.Safe(h.keys().Dir))
			_, err = fmt.Fprintf(s.Out, "%s  %s\n", key.ID(), key.Fingerprint())
			return err
		},
	}
	c.Flags().BoolVar(&keepActive, "no-set-active", false, "leave the active key as it is")
	return c
}

func keyListCmd(s cmd.Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the signing keys; * marks the active one",
		Example: "  assay key list",
		Args:    cmd.Args(cobra.NoArgs, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			h, err := openHome(s)
			if err != nil {
				return err
			}
			keys, err := h.keys().List()
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				fmt.Fprintf(s.Err, "no key yet; 'assay key generate' makes one\n")
			}
			var text strings.Builder
			for _, k := range keys {
				mark := " "
				if k.Active {
					mark = "*"
				}
				if k.Err != nil {
					fmt.Fprintf(&text, "%s %s  refused: %s\n", mark, cmd.Safe(k.ID), cmd.Safe(k.Err.Error()))
					continue
				}
				fmt.Fprintf(&text, "%s %s  %s\n", mark, k.ID, k.Fingerprint)
			}
			_, err = io.WriteString(s.Out, text.String())
			return err
		},
	}
}

func keyInfoCmd(s cmd.Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "info [ID]",
		Short:   "Show a signing key (default: the active one)",
		Example: "  assay key info",
		Args:    cmd.Args(cobra.MaximumNArgs(1), "at most one id"),
		RunE: func(_ *cobra.Command, args []string) error {
			h, err := openHome(s)
			if err != nil {
				return err
			}
			active, err := h.keys().Active()
			if err != nil {
				return err
			}
			id := active
			if len(args) == 1 {
				id = args[0]
			}
			key, err := loadKey(h, id)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.Out, "id          %s\nalgorithm   ed25519\npublic key  %x\nfingerprint %s\nactive      %v\n",
				key.ID(), []byte(key.Public()), key.Fingerprint(), id == active)
			return err
		},
	}
}

func loadKey(h home, id string) (*keystore.Key, error) {
	holdKey()
	key, err := h.keys().Load(id)
	if errors.Is(err, keystore.ErrNotFound) {
		return nil, cmd.BadInput("make it with 'assay key generate "+id+"'", "%w in %s", err, h.keys().Dir)
	}
	return key, err
}

// signingKey is the active key; a first run makes one unless that was forbidden.
func signingKey(s cmd.Streams, h home, generate bool) (pack.Signer, error) {
	id, err := h.keys().Active()
	if err != nil {
		return nil, err
	}
	key, err := loadKey(h, id)
	if !errors.Is(err, keystore.ErrNotFound) || !generate {
		return key, err
	}
	key, err = h.keys().Generate(rand.Reader, id)
	if errors.Is(err, keystore.ErrExists) { // another process was faster: its key is ours
		return h.keys().Load(id)
	} else if err != nil {
		return nil, err
	}
	fmt.Fprintf(s.Err, "made signing key %s (fingerprint %s)\n", key.ID(), key.Fingerprint())
	return key, nil
}
