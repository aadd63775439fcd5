package home

import (
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/cli"
)

// Where the signing key comes from. At most one of the first three is set; none: the key store. An empty
// variable is none, because that is what CI makes of a secret that it withholds; but then no key is made for
// the run: somebody meant to sign with another one.
const (
	EnvKey     = "ASSAY_SIGNING_KEY"      // the seed in base64, as in ID.key.b64
	EnvKeyFile = "ASSAY_SIGNING_KEY_FILE" // a file of that, of the 32 bytes, or of either in an age file
	EnvSigner  = "ASSAY_SIGNER"           // exec:/path/to/helper [ARG...]: see keystore.Helper
	EnvID      = "ASSAY_SIGNER_ID"        // the id of that key (default: ci-key), or of one in the store

	// What opens an encrypted key; at most one is set. The passphrase itself is never in the environment.
	envPassphraseFile = "ASSAY_KEY_PASSPHRASE_FILE"
	envPassphraseFD   = "ASSAY_KEY_PASSPHRASE_FD"
	envIdentityFile   = "ASSAY_KEY_IDENTITY_FILE" // of age
)

// keyVariables never reach a program that we run.
var keyVariables = []string{EnvKey, EnvKeyFile, EnvSigner, EnvID, envPassphraseFile, envPassphraseFD, envIdentityFile}

// CIKeyID is the id of a key of the environment that EnvID does not name.
const CIKeyID = "ci-key"

// WithoutKeys is an environment for a program that is no business of the signing key.
func WithoutKeys(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		// Windows does not tell the cases of names apart.
		return slices.ContainsFunc(keyVariables, func(v string) bool { return strings.EqualFold(v, name) })
	})
}

// OnlyOne is the name of the variable that is set, "" if none is.
func OnlyOne(s cli.Streams, names ...string) (string, error) {
	var set []string
	for _, name := range names {
		if s.Env(name) != "" {
			set = append(set, name)
		}
	}
	switch len(set) {
	case 0:
		return "", nil
	case 1:
		return set[0], nil
	}
	return "", cli.BadInput("unset all but one", "%s are set: which one is meant?", strings.Join(set, " and "))
}
