package govern

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"sync"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

var cardID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`) })

// cardsNew is one run of 'cards new', with its flags.
type cardsNew struct {
	s   cli.Streams
	out string
}

func cardsNewCmd(s cli.Streams) *cobra.Command {
	o := cardsNew{s: s}
	c := &cobra.Command{
		Use: "new ID", Short: "Write a card to start from",
		Long: `new writes a card file with one claim and with fixtures on which it passes and fails. Change the claim
('assay cards predicates' lists what can be claimed), the fixtures and the reasons to yours; then
'assay cards validate' and 'assay cards test' say whether the card can be relied on.`,
		Example: "  assay cards new approved_models -o cards/approved_models.json",
		Args:    cli.Args(cobra.ExactArgs(1), "one id"),
		RunE:    o.run,
	}
	o.add(c)
	return c
}

func (o *cardsNew) add(c *cobra.Command) {
	c.Flags().StringVarP(&o.out, "output", "o", "", "card `FILE` to make (default: ID.json)")
}

func (o *cardsNew) run(_ *cobra.Command, args []string) error {
	id := args[0]
	for _, card := range claim.BuiltinCards() {
		if card.ID == id {
			return cli.BadInput("see it with 'assay cards show "+id+"'", "%s is the id of a built-in card", id)
		}
	}
	if !cardID().MatchString(id) {
		return cli.BadInput("", "id %q is not 1 to 128 letters, digits, dots, underscores and hyphens", id)
	}
	if o.out == "" {
		o.out = id + ".json"
	}
	text, err := jcs.AppendPretty(nil, claim.NewCard(id).Value())
	if err != nil {
		return err
	}
	if err := durable.CreateFile(o.out, append(text, '\n'), 0o644); errors.Is(err, fs.ErrExist) {
		return cli.BadInput("name another with --output", "%s exists", o.out)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(o.s.Err, "next: write the claims and the rationale, then assay cards validate %s\n", terminal.Safe(o.out))
	_, err = fmt.Fprintf(o.s.Out, "%s\n", terminal.Safe(o.out))
	return err
}
