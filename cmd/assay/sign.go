package main

import (
	"errors"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// buildError is the error of a pack that was not built: of a helper that failed to sign it, or of its input.
func buildError(err error) error {
	if errors.Is(err, keystore.ErrHelper) {
		return cmd.Unavailable("the receipts are kept: 'assay proof-pack TRACE' packs them later", "%w", err)
	}
	return cmd.BadInput("", "%w", err)
}
