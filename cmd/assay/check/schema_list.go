package check

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/schema"
)

// schemaList is one run of 'schema list', with its flags.
type schemaList struct {
	s    cli.Streams
	json bool
}

func schemaListCmd(s cli.Streams) *cobra.Command {
	o := schemaList{s: s}
	c := &cobra.Command{
		Use:     "list",
		Short:   "Name the documents that have a schema",
		Example: `  assay schema list`,
		Args:    cli.Args(cobra.NoArgs, "no arguments"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *schemaList) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *schemaList) run(c *cobra.Command, args []string) error {
	list := jcs.Arr()
	for _, name := range schema.Names() {
		title, err := schemaTitle(name)
		if err != nil {
			return err
		}
		list.Items = append(list.Items, jcs.Obj(jcs.M("name", jcs.Str(name)), jcs.M("title", jcs.Str(title))))
	}
	if o.json {
		return cli.PrintJSON(o.s.Out, cli.Answer("schema list", "ok", cli.ExitPass, jcs.M("schemas", list)))
	}
	w := new(strings.Builder)
	for _, item := range list.Items {
		fmt.Fprintf(w, "%-18s  %s\n", item.Members[0].Value.Text, item.Members[1].Value.Text)
	}
	_, err := o.s.Out.Write([]byte(w.String()))
	return err
}

func schemaTitle(name string) (string, error) {
	text, _ := schema.Get(name)
	v, err := jcs.Parse(text, jcs.Limits{})
	if err != nil {
		return "", fmt.Errorf("schema %s: %w", name, err)
	}
	title, _ := v.Get("title")
	return title.Text, nil
}
