package expect

import (
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/claim"
)

// GivenFile is a file that a flag names, as it was read.
type GivenFile struct {
	Flag string // --policy; of a second file of the flag --policy.2
	Data []byte
}

// most is the longest of these files that is read.
const most = 16 << 20

// Given is what Options was told, for somebody who asks the same elsewhere, where the files have other names: the
// flags that name none, with their values, and the files.
func (f *Flags) Given(c *cobra.Command) (args []string, files []GivenFile, err error) {
	for _, name := range []string{"timestamp", "min-coverage", "max-age-hours", "expected-commit-sha", "expected-repo",
		"expected-ref", "expected-workflow", "expected-run", "now"} {
		if c.Flags().Changed(name) {
			args = append(args, "--"+name, c.Flags().Lookup(name).Value.String())
		}
	}
	for _, name := range []string{"require-claim-pass", "require-anchor", "require-pinned", "require-ci-binding", "check-expiry",
		"refuse-superseded", "strict"} {
		if is, err := c.Flags().GetBool(name); err == nil && is {
			args = append(args, "--"+name)
		}
	}
	for _, name := range f.signers {
		key, err := trustedSigner(name)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, "--trusted-signer", key.String())
	}
	named := map[string][]string{"--policy": {f.Policy}, "--proof": {f.Proof}, "--tsa-roots": {f.roots}, "--lock": {f.lock}, "--coverage-contract": {f.contract}}
	for _, card := range f.cards {
		if slices.ContainsFunc(claim.BuiltinCards(), func(c claim.Card) bool { return c.ID == card }) {
			args = append(args, "--run-card", card)
		} else {
			named["--run-card"] = append(named["--run-card"], card)
		}
	}
	for _, flag := range slices.Sorted(maps.Keys(named)) {
		for i, path := range named[flag] {
			if path == "" {
				continue
			}
			data, err := cli.ReadFile(path, most)
			if err != nil {
				return nil, nil, err
			}
			if files = append(files, GivenFile{flag, data}); i > 0 {
				files[len(files)-1].Flag = fmt.Sprintf("%s.%d", flag, i+1)
			}
		}
	}
	return args, files, nil
}
