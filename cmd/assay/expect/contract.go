package expect

import (
	"errors"
	"fmt"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/claim"
)

// ReadContract reads a coverage contract. One that was altered is governance drift, exit 2.
func ReadContract(path string) (*claim.Contract, error) {
	text, err := cli.ReadFile(path, 64<<20)
	if err != nil {
		return nil, err
	}
	contract, err := claim.ParseContract(text)
	if errors.Is(err, claim.ErrContractAltered) {
		return nil, &cli.Error{Code: cli.ExitTampered, Err: fmt.Errorf("%s: %w", path, err)}
	} else if err != nil {
		return nil, cli.BadInput("", "%s: %w", path, err)
	}
	return contract, nil
}
