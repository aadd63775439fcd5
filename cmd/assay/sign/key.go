package sign

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

func keyCmd(s cli.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make, rotate, revoke, export and audit signing keys",
		Long: `key looks after the Ed25519 keys in $ASSAY_HOME/keys (default: ~/.assay/keys). 'assay run' makes
the first one by itself. Whoever verifies needs the fingerprint, never the key. No command
prints a secret key; 'key export --private' writes one to a file.

A key need not be in the store. In CI set ASSAY_SIGNING_KEY (the text of ID.key.b64) or
ASSAY_SIGNING_KEY_FILE, and ASSAY_SIGNER_ID (default: ci-key). ASSAY_SIGNER='exec:/path/helper ARG'
lets a program sign that keeps the key in a KMS or an HSM. ASSAY_SIGNER_ID alone names a key of
the store. Programs that 'assay run' starts get none of these.

A key file may be encrypted (age). It is opened with the passphrase in the file that
ASSAY_KEY_PASSPHRASE_FILE names, or read from the descriptor ASSAY_KEY_PASSPHRASE_FD, or with the
age identities in ASSAY_KEY_IDENTITY_FILE. There is no prompt.

A helper is started once for each request, without a shell. It reads one JSON object from stdin,
writes one to stdout, and exits with 0; it has 30 seconds (protocol assay.signer.v1):
  {"op":"public","version":"assay.signer.v1"}              -> {"id":ID,"public_key":BASE64}
  {"message":BASE64,"op":"sign","version":"assay.signer.v1"} -> {"signature":BASE64}
The signature is plain Ed25519 over the message. It is verified before it is used.`,
		Example: `  assay key generate
  assay key list`,
	}
	c.AddCommand(
		keyGenerateCmd(s), keyListCmd(s), keyInfoCmd(s), keySetActiveCmd(s),
		cli.Judges(keyRotateCmd(s), cli.ExitTampered), cli.Judges(keyRevokeCmd(s), cli.ExitTampered), keyExportCmd(s), keyImportCmd(s), keyEncryptCmd(s), keyDecryptCmd(s),
		cli.Judges(keyAuditCmd(s), cli.ExitHonestFail, cli.ExitTampered), keyRunbookCmd(s), keyCISetupCmd(s),
	)
	return c
}

// keyAnswer is the end of a key command: text for people, or an object of members for machines.
func keyAnswer(s cli.Streams, asJSON bool, command, text string, members ...jcs.Member) error {
	if !asJSON {
		_, err := io.WriteString(s.Out, text)
		return err
	}
	return cli.PrintJSON(s.Out, cli.Answer("key "+command, "ok", cli.ExitPass, members...))
}

// keysOf opens the key store for a key command.
func keysOf(s cli.Streams) (*keystore.Store, error) {
	h, err := home.Open(s)
	if err != nil {
		return nil, err
	}
	cli.HoldSecret()
	noteUnchecked(s)
	return home.OpenKeys(s, h), nil
}

func noteUnchecked(s cli.Streams) {
	if !keystore.PermissionsChecked {
		fmt.Fprintf(s.Err, "note: who may read the key files is not checked on this system\n")
	}
}

// keyError says what to do about an error of the store.
func keyError(store *keystore.Store, id string, err error) error {
	var told *cli.Error
	switch {
	case err == nil || errors.As(err, &told):
		return err
	case errors.Is(err, keystore.ErrExists):
		return cli.BadInput("see it with 'assay key info "+id+"'; 'assay key rotate' makes its successor", "key %s exists", id)
	case errors.Is(err, keystore.ErrNotFound):
		return cli.BadInput("see them with 'assay key list'", "%w in %s", err, store.Dir)
	case errors.Is(err, keystore.ErrRevoked):
		return cli.BadInput("make another with 'assay key rotate'", "%w", err)
	case errors.Is(err, keystore.ErrPublicOnly):
		return cli.BadInput("import its other half: assay key import ID.pub.b64 --private ID.key.b64", "%w", err)
	}
	return home.LockedHint(err)
}

// activeFlags are --set-active, on by default, and --no-set-active, as the reference tool spells it.
func activeFlags(c *cobra.Command, set, keep *bool) {
	c.Flags().BoolVar(set, "set-active", true, "make the new key the active one")
	c.Flags().BoolVar(keep, "no-set-active", false, "leave the active key as it is")
	c.MarkFlagsMutuallyExclusive("set-active", "no-set-active")
}

func keyLine(k keystore.Info) string {
	mark, rest := " ", ""
	if k.Active {
		mark = "*"
	}
	switch {
	case k.Public == nil:
		return fmt.Sprintf("%s %s  refused: %s\n", mark, terminal.Safe(k.ID), terminal.Safe(k.Err.Error()))
	case k.Revoked != nil:
		rest = "  revoked " + revokedOn(*k.Revoked)
	case k.Kind != keystore.Plain:
		rest = "  " + string(k.Kind)
	}
	return fmt.Sprintf("%s %s  %s%s\n", mark, terminal.Safe(k.ID), k.FingerprintText(), rest)
}

func revokedOn(r keystore.Revocation) string {
	if r.At.IsZero() {
		return "(its record cannot be read)"
	}
	return r.At.Format("2006-01-02T15:04:05Z")
}

// keyMembers describe a key; the reference tool's members come first.
func keyMembers(store *keystore.Store, k keystore.Info) []jcs.Member {
	null := jcs.Value{Kind: jcs.Null}
	text := func(value string) jcs.Value {
		if value == "" {
			return null
		}
		return jcs.Loose(value)
	}
	path := map[string]string{}
	for _, p := range store.Paths(k.ID) {
		path[p[strings.LastIndexByte(p, '.'):]] = p
	}
	if path[".key"] == "" {
		path[".key"] = path[".age"]
	}
	m := []jcs.Member{
		jcs.M("signer_id", jcs.Str(k.ID)),
		jcs.M("active", jcs.Boolean(k.Active)),
		jcs.M("fingerprint", text(k.FingerprintText())),
		jcs.M("key_path", text(path[".key"])),
		jcs.M("pub_path", text(path[".pub"])),
		jcs.M("kind", jcs.Str(strings.ReplaceAll(string(k.Kind), " ", "_"))),
		jcs.M("revoked", jcs.Boolean(k.Revoked != nil)),
	}
	if k.Revoked != nil {
		m = append(m, revocationMembers(*k.Revoked)...)
	} else if k.Err != nil {
		m = append(m, jcs.M("error", jcs.Loose(k.Err.Error())))
	}
	return m
}

func revocationMembers(r keystore.Revocation) []jcs.Member {
	return []jcs.Member{jcs.M("revoked_at", jcs.Str(revokedOn(r))), jcs.M("reason", jcs.Loose(r.Reason))}
}
