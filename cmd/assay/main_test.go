package main

import (
	"io"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/cli/clitest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"assay": main, "signing-helper": signingHelper})
}

func TestScripts(t *testing.T) { clitest.Scripts(t) }

// What the examples do is for the scripts; here each must name a command, flags and arguments that exist.
func TestEveryCommandHasExamplesThatParse(t *testing.T) {
	root := rootCmd(cli.Streams{Out: io.Discard, Err: io.Discard, Env: func(string) string { return "" }})
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			_, args, ok := strings.Cut(line, "assay ")
			if !ok {
				t.Errorf("%s: %q does not run assay", c.CommandPath(), line)
				continue
			}
			target, rest, err := root.Find(words(args))
			if err == nil {
				err = target.ParseFlags(rest)
			}
			if err == nil {
				err = target.ValidateArgs(target.Flags().Args())
			}
			if err != nil || c != root && target != c && target.Parent() != c {
				t.Errorf("%s: %q is for %s, %v", c.CommandPath(), line, target.CommandPath(), err)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// words splits as a shell does, as far as examples go: spaces and single quotes.
func words(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

func TestEveryCommandInTheDocumentsExists(t *testing.T) {
	clitest.Documented(t, "assay", func(words ...string) string {
		var out strings.Builder
		run(t.Context(), append(words, "--help"), cli.Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard, Env: func(string) string { return "" }})
		return out.String()
	}, "../../README.md", "../../docs/OPERATING.md")
}
