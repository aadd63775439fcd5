package main

import (
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

func demoPackCmd(s cmd.Streams) *cobra.Command { return stub("demo-pack") }

func demoIncidentCmd(s cmd.Streams) *cobra.Command { return stub("demo-incident") }

func demoChallengeCmd(s cmd.Streams) *cobra.Command { return stub("demo-challenge") }
