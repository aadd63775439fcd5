package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

func versionCmd(s cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the verifier's semantics and the built-in cards",
		Example: "  assay version",
		Args:    cli.Args(cobra.NoArgs, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			text := fmt.Sprintf("assay %s (%s/%s, %s)\nverifier %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version(), manifest.Version)
			for _, card := range claim.BuiltinCards() {
				text += fmt.Sprintf("card %-22s %s\n", card.ID, claim.SetHash([]claim.Card{card}))
			}
			_, err := io.WriteString(s.Out, text)
			return err
		},
	}
}
