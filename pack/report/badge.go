package report

import (
	"fmt"
	"strings"

	"github.com/Haserjian/assay-ledger/pack"
)

// colours are those of the reference tool's badges.
var colours = map[string]string{wordPass: "#4c1", wordHonestFail: "#fe7d37", wordTampered: "#e05d44", wordUnmet: "#e05d44", wordInsufficient: "#9f9f9f"}

// Badge is an SVG image with a pair of fields for each channel: integrity and claims always, and what
// else was asked for and matters. No text of the pack is in it.
func (r *Report) Badge() []byte {
	type field struct {
		text, fill string
		x, width   int
	}
	var fields []field
	var words []string
	x := 0
	add := func(text, fill string) {
		width := textWidth(text) + 12
		fields = append(fields, field{text, fill, x, width})
		x += width
	}
	for _, c := range r.Channels() {
		if !c.asked {
			continue
		}
		word := badgeWord(c)
		if c.Name == "claims" && c.Verdict == wordPass {
			switch {
			case r.cannotFail():
				word = "CANNOT FAIL"
			case r.signersOwn() > 0:
				word = "PASS OF OWN CHECKS"
			}
		}
		if x > 0 {
			x += 3 // between two channels, which are two verdicts
		}
		add(c.Name, "#484848")
		add(word, colours[c.Verdict])
		if c.Name == "claims" {
			word += r.badgeCards()
		}
		words = append(words, c.Name+" "+word)
	}
	title := xmlText(strings.Join(words, " | "))
	w := new(strings.Builder)
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="20" role="img" aria-label="%s">
  <title>%s</title>
  <clipPath id="r"><rect width="%d" height="20" rx="3"/></clipPath>
  <g clip-path="url(#r)">
`, x, title, title, x)
	for _, f := range fields {
		fmt.Fprintf(w, "    <rect x=\"%d\" width=\"%d\" height=\"20\" fill=\"%s\"/>\n", f.x, f.width, f.fill)
	}
	w.WriteString("  </g>\n  <g font-family=\"Verdana,Geneva,DejaVu Sans,sans-serif\" font-size=\"11\" text-anchor=\"middle\">\n")
	for _, f := range fields {
		ink := "#fff"
		if f.fill != "#484848" {
			ink = "#111" // white on these colours is hard to read
		}
		fmt.Fprintf(w, "    <text x=\"%g\" y=\"14\" fill=\"%s\" textLength=\"%d\">%s</text>\n", float64(f.x)+float64(f.width)/2, ink, textWidth(f.text), xmlText(f.text))
	}
	w.WriteString("  </g>\n</svg>\n")
	return []byte(w.String())
}

// badgeCards names in the title the cards that are built in, pinned or given, and counts the signer's own: no
// text of the pack is in a badge.
func (r *Report) badgeCards() string {
	if len(r.Claims.Cards) == 0 || !r.intact() {
		return ""
	}
	var names []string
	for i, c := range r.Claims.Cards {
		if source := r.Claims.Sources[i]; source != pack.SourceSigner {
			names = append(names, c.Label()+" "+string(source))
		}
	}
	if n := r.signersOwn(); n > 0 {
		names = append(names, fmt.Sprintf("%d of the signer's own", n))
	}
	if r.cannotFail() {
		names = append(names, "none can fail")
	}
	return " (" + strings.Join(names, ", ") + ")"
}

// badgeWord is the word of reports for the two channels that always stand there, in the plainest form.
func badgeWord(c Channel) string {
	switch c.Verdict {
	case wordHonestFail:
		return "HONEST FAIL"
	case wordInsufficient:
		if c.Word == string(pack.NotEvaluated) {
			return "NOT EVALUATED"
		}
		if c.Name == "claims" {
			return "NOT JUDGED"
		}
		return "INSUFFICIENT"
	}
	switch {
	case c.Name == "lock" && c.Verdict == wordUnmet:
		return "DRIFT"
	case c.Name == "signer", c.Name == "anchor":
		return c.Word
	}
	return c.Verdict
}

// Advance widths of Verdana, in thousandths of an em.
var (
	small = [26]int{601, 623, 521, 623, 596, 352, 623, 633, 274, 344, 592, 274, 973, 633, 607, 623, 623, 427, 521, 394, 633, 592, 818, 592, 592, 525}
	large = [26]int{684, 686, 698, 771, 632, 575, 775, 751, 421, 455, 693, 557, 843, 748, 787, 603, 787, 695, 684, 616, 732, 684, 989, 685, 615, 685}
)

// textWidth is how wide text is in Verdana 11px; textLength makes it so in other fonts.
func textWidth(text string) int {
	thousandths := 0
	for _, r := range text {
		switch {
		case 'a' <= r && r <= 'z':
			thousandths += small[r-'a']
		case 'A' <= r && r <= 'Z':
			thousandths += large[r-'A']
		default:
			thousandths += 352 // a space; there is nothing else
		}
	}
	return (11*thousandths + 999) / 1000
}
