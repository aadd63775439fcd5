package main

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

func auditCmd(s cmd.Streams) *cobra.Command { return stub("audit") }
