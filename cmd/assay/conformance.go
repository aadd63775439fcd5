package main

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

func conformanceCmd(s cmd.Streams) *cobra.Command { return stub("conformance") }
