package expect

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/claim"
)

// FindCards resolves each name: a built-in id first, so that no file can shadow one, then a file.
func FindCards(names []string) ([]claim.Card, error) {
	var cards []claim.Card
	builtin := claim.BuiltinCards()
next:
	for _, name := range names {
		for _, card := range builtin {
			if card.ID == name {
				cards = append(cards, card)
				continue next
			}
		}
		text, err := cli.ReadFile(name, 1<<20)
		if errors.Is(err, fs.ErrNotExist) {
			ids := make([]string, len(builtin))
			for i, card := range builtin {
				ids[i] = card.ID
			}
			return nil, cli.BadInput("built in are "+strings.Join(ids, ", "), "no card %q, built in or as a file", name)
		} else if err != nil {
			return nil, err
		}
		card, err := claim.ParseCard(text)
		if err != nil {
			return nil, cli.BadInput("'assay cards new' writes one to start from", "card %s: %v", name, err)
		}
		cards = append(cards, card)
	}
	return cards, nil
}
