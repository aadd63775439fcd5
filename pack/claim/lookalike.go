package claim

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// PlainID reports whether an id can be taken for nothing but one: it holds no words and no marks of ours.
func PlainID(id string) bool {
	return id != "" && len(id) <= maxCardText && !strings.ContainsFunc(id, func(r rune) bool {
		return r != '.' && r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// Label is the id of the card as outputs for people show it: one that could hold words of ours is quoted.
func (c Card) Label() string {
	if PlainID(c.ID) {
		return c.ID
	}
	return strconv.QuoteToASCII(c.ID)
}

// CanFail reports whether a claim of the cards can make a pack's claims FAIL: warnings never do, nor does what no
// receipts can fail.
func CanFail(cards []Card) bool { // CLM-17
	return slices.ContainsFunc(InOrder(cards), Claim.canFail)
}

// A triviallyTrue check may pass whatever the receipts are: it says whether its parameters make it so (CLM-17).
type triviallyTrue interface{ alwaysPasses() bool }

func (c Claim) canFail() bool {
	ask, _ := newCheck(c.Canonical(), new(allowance))
	i, ok := ask.(triviallyTrue)
	return c.Severity.lower() != Warning && !(ok && i.alwaysPasses())
}

// Lookalike is the built-in card that a reader may take id for, "" if there is none or id is it: other case,
// other hyphens, spaces around it, letters of other scripts, one letter more, less or changed, or two swapped; and
// one with something before or behind it (receipt_completeness.v1), but for a namespace of somebody's own.
func Lookalike(id string) string {
	plain := skeleton(id)
	for _, card := range BuiltinCards() {
		twin := skeleton(card.ID)
		switch at := strings.Index(plain, twin); {
		case card.ID == id:
			return ""
		case oneEdit(plain, twin), at >= 0 && !ownNamespace(plain[:at]):
			return card.ID
		}
	}
	return ""
}

// ownNamespace is about what stands before the name of a built-in card: acme.no_breakglass is somebody's own, and
// nobody takes it for ours.
func ownNamespace(before string) bool {
	name, dotted := strings.CutSuffix(strings.ReplaceAll(before, "/", "."), ".")
	return dotted && name != "" && !slices.ContainsFunc([]string{"assay", "builtin", "core", "standard", "default", "official", "system"}, func(ours string) bool {
		return oneEdit(name, skeleton(ours))
	})
}

// skeleton is what an id looks like: lower case, no separators, letters of other scripts as the Latin ones
// that they are drawn like.
func skeleton(id string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		case 'a' <= r && r <= 'z' || r == '.' || r == '/': // acme.no_breakglass is somebody's own name
			return r
		case 0xff21 <= r && r <= 0xff3a:
			return r - 0xff21 + 'a'
		case 0xff41 <= r && r <= 0xff5a:
			return r - 0xff41 + 'a'
		}
		if latin, ok := drawnLike[r]; ok {
			return latin
		}
		if '0' <= r && r <= '9' || unicode.IsLetter(r) {
			return r
		}
		return -1 // a separator, or a mark
	}, id)
	return drawnTogether.Replace(plain)
}

// drawnTogether are pairs of letters that are drawn like one.
var drawnTogether = strings.NewReplacer("rn", "m", "vv", "w", "cl", "d")

// drawnLike are the letters and digits that are drawn like letters of the built-in ids.
var drawnLike = map[rune]rune{
	'0': 'o', '1': 'l', '3': 'e', '5': 's', '7': 't',
	'\u0430': 'a', '\u0435': 'e', '\u043e': 'o', '\u0440': 'p', '\u0441': 'c', '\u0443': 'y', '\u0445': 'x', '\u0456': 'i', '\u0455': 's', '\u0458': 'j',
	'\u0501': 'd', '\u04bb': 'h', '\u0131': 'i', '\u0261': 'g', '\u0405': 's', '\u0410': 'a', '\u0412': 'b', '\u0415': 'e', '\u041a': 'k', '\u041c': 'm',
	'\u041d': 'h', '\u041e': 'o', '\u0420': 'p', '\u0421': 'c', '\u0422': 't', '\u0425': 'x', '\u0406': 'i', '\u03b1': 'a', '\u03b9': 'i', '\u03bd': 'v',
	'\u03bf': 'o', '\u03c1': 'p', '\u03c4': 't', '\u03ba': 'k', '\u0391': 'a', '\u0392': 'b', '\u0395': 'e', '\u0397': 'h', '\u0399': 'i', '\u039a': 'k', '\u039c': 'm',
	'\u039d': 'n', '\u039f': 'o', '\u03a1': 'p', '\u03a4': 't', '\u03a5': 'y', '\u0585': 'o', '\u057d': 'u', '\u0578': 'n',
	'\u00e0': 'a', '\u00e1': 'a', '\u00e4': 'a', '\u00e7': 'c', '\u00e8': 'e', '\u00e9': 'e', '\u00ea': 'e', '\u00eb': 'e', '\u00ec': 'i', '\u00ed': 'i',
	'\u00ef': 'i', '\u00f1': 'n', '\u00f2': 'o', '\u00f3': 'o', '\u00f6': 'o', '\u00f9': 'u', '\u00fa': 'u', '\u00fc': 'u',
}

// oneEdit reports whether one of two texts becomes the other by at most one letter changed, left out or put
// in, or two neighbours swapped.
func oneEdit(a, b string) bool {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}
