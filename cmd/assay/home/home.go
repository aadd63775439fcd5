// Package home is what the user who runs assay has: keys and receipts in a directory, and a signing key that the
// environment may give in their place. Whoever verifies needs none of it, and does not import this package.
package home

import (
	"errors"
	"path/filepath"

	"github.com/Haserjian/assay-ledger/capture"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// Home is where keys and receipts of this user live.
type Home string

// Open finds the home of the environment; nothing is made yet.
func Open(s cli.Streams) (Home, error) {
	path, err := capture.Home(s.Env)
	if err != nil {
		return "", cli.BadInput("keys and receipts live there: set ASSAY_HOME=/some/directory", "%w", err)
	}
	return Home(path), nil
}

// Keys is the key store; see OpenKeys for one that opens encrypted keys.
func (h Home) Keys() *keystore.Store { return &keystore.Store{Dir: filepath.Join(string(h), "keys")} }

// Receipts is the store that programs emit to.
func (h Home) Receipts() *capture.Store { return &capture.Store{Dir: string(h)} }

// StoreError adds to an error of the store of receipts the next step, where there is one.
func (h Home) StoreError(err error) error {
	if errors.Is(err, capture.ErrUnnumbered) {
		return cli.BadInput("number them with 'python -m assay.store_seq_migration "+string(h)+"', or set ASSAY_HOME to another directory", "%w", err)
	}
	return err
}
