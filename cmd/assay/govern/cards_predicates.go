package govern

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// cardsPredicates is one run of 'cards predicates', with its flags.
type cardsPredicates struct {
	s    cli.Streams
	json bool
}

func cardsPredicatesCmd(s cli.Streams) *cobra.Command {
	o := cardsPredicates{s: s}
	c := &cobra.Command{
		Use: "predicates", Short: "List what a claim can check, with its parameters",
		Long: `predicates lists every check that a claim can name. The first seven are those of the reference tool; the
others are ours: it verifies our packs with them, because it executes no claim again, but in packs that
it builds they fail as unknown.`,
		Example: "  assay cards predicates",
		Args:    cli.Args(cobra.NoArgs, "no argument"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *cardsPredicates) add(c *cobra.Command) {
	cli.JSONFlag(c, &o.json)
}

func (o *cardsPredicates) run(*cobra.Command, []string) error {
	w, list := new(strings.Builder), jcs.Arr()
	for _, p := range claim.Predicates() {
		params := jcs.Arr()
		fmt.Fprintf(w, "%s\n    %s\n", p.Name, p.Summary)
		for _, param := range p.Params {
			needed := ""
			if param.Required {
				needed = " (required)"
			}
			fmt.Fprintf(w, "    %-16s %s%s\n", param.Name, param.Meaning, needed)
			params.Items = append(params.Items, jcs.Obj(jcs.M("name", jcs.Str(param.Name)),
				jcs.M("required", jcs.Boolean(param.Required)), jcs.M("meaning", jcs.Str(param.Meaning))))
		}
		list.Items = append(list.Items, jcs.Obj(jcs.M("check", jcs.Str(p.Name)), jcs.M("summary", jcs.Str(p.Summary)),
			jcs.M("reference", jcs.Boolean(p.Reference)), jcs.M("params", params)))
	}
	if o.json {
		return printCards(o.s, "predicates", cli.ExitPass, jcs.M("predicates", list))
	}
	return printText(o.s, w, cli.ExitPass)
}
