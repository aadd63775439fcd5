package check

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/report"
	"github.com/Haserjian/assay-ledger/pack/schema"
)

// schemaExport is one run of 'schema export', with its flags.
type schemaExport struct {
	s   cli.Streams
	dir string
}

func schemaExportCmd(s cli.Streams) *cobra.Command {
	o := schemaExport{s: s}
	c := &cobra.Command{
		Use:   "export [NAME...]",
		Short: "Print a schema, or write several as files",
		Long: `export prints the schema of one document. With -o it writes NAME.schema.json of the named documents, or
of all, into a directory, which is made if it is not there; files of those names are replaced.

A schema says what form a document has. Whether its hashes and its signature hold is for verify-pack.`,
		Example: `  assay schema export pack-manifest
  assay schema export -o schemas`,
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *schemaExport) add(c *cobra.Command) {
	c.Flags().StringVarP(&o.dir, "output", "o", "", "`DIR` for the files")
}

func (o *schemaExport) run(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		args = schema.Names()
	}
	for _, name := range args {
		if _, ok := schema.Get(name); !ok {
			return cli.BadInput("assay schema list names them", "no schema of %s", name)
		}
	}
	if o.dir != "" {
		return exportSchemas(o.s, o.dir, args)
	}
	if len(args) > 1 {
		return cli.BadInput("name one, or a directory for all of them: assay schema export -o schemas", "%d schemas do not go on one stdout", len(args))
	}
	text, _ := schema.Get(args[0])
	_, err := o.s.Out.Write(text)
	return err
}

func exportSchemas(s cli.Streams, dir string, names []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		text, _ := schema.Get(name)
		if err := durable.WriteFile(filepath.Join(dir, schema.FileName(name)), text, 0o644); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.Out, "%s in %s\n", report.Count(len(names), "schema"), terminal.Safe(dir))
	return err
}
