package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/Haserjian/assay-ledger/site/pages"
)

// Texts of entries come from anybody. encoding/xml escapes them, and what XML cannot hold is shown as U+FFFD; in CSV a
// field that a spreadsheet would run is quoted.

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomAuthor struct {
	Name string `xml:"name"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Link    atomLink `xml:"link"`
	Summary string   `xml:"summary"`
}

// urn names a thing of the log for ever: a UUID made of a hash (RFC 9562, version 8).
func (b *build) urn(what string) string {
	h := sha256.Sum256([]byte(b.log.VKey + "\n" + what))
	h[6], h[8] = h[6]&15|0x80, h[8]&63|0x80
	t := hex.EncodeToString(h[:16])
	return fmt.Sprintf("urn:uuid:%s-%s-%s-%s-%s", t[:8], t[8:12], t[12:16], t[16:20], t[20:])
}

// feeds writes the Atom feeds and newest.csv. Times are those of the log.
func (b *build) feeds(v *view) error {
	for _, f := range []struct {
		folder, title string
		entries       []atomEntry
	}{
		{"entries", "Entries of " + v.Origin, b.entryFeed(v)},
		{"checkpoints", "Checkpoints of " + v.Origin, b.checkpointFeed(v)},
		{"equivocation", "Equivocations in " + v.Origin, b.twinFeed(v)},
	} {
		feed := atomFeed{ID: b.urn("feed " + f.folder), Title: f.title, Updated: atomTime(v.at), Author: atomAuthor{v.Origin},
			Links: []atomLink{{"self", "application/atom+xml", "feed.xml"}, {"alternate", "text/html", "index.html"}}, Entries: f.entries}
		text, err := xml.MarshalIndent(feed, "", " ")
		if err != nil {
			return err
		}
		if err := b.draft.write(f.folder+"/feed.xml", append([]byte(xml.Header), append(text, '\n')...)); err != nil {
			return err
		}
	}
	return b.newestCSV(v)
}

func atomTime(t time.Time) string {
	if t.IsZero() {
		t = time.Unix(0, 0)
	}
	return t.UTC().Format(time.RFC3339)
}

func (b *build) entryFeed(v *view) (list []atomEntry) {
	for _, row := range v.rows[:min(inFeed, len(v.rows))] {
		one := atomEntry{
			ID:      b.urn(fmt.Sprintf("entry %d", row.Index)),
			Title:   fmt.Sprintf("%d: not an entry", row.Index),
			Updated: atomTime(v.at),
			Link:    atomLink{"alternate", "text/html", fmt.Sprintf("../entry/index.html?i=%d", row.Index)},
			Summary: "The leaf at this index is not an entry of a ledger.",
		}
		if e := row.Entry; e != nil {
			one.Title = fmt.Sprintf("%d: %s", row.Index, visible(e.PackID))
			one.Updated = e.SubmittedAt.UTC().Format(time.RFC3339Nano)
			one.Summary = fmt.Sprintf("integrity %s, claims %s, signed by %s (%s)", e.ReceiptIntegrity, e.ClaimCheck, visible(e.SignerID), e.SignerKeySHA256)
			if e.Source.Repo != "" {
				one.Summary += fmt.Sprintf(", source %s (%s)", visible(e.Source.Repo), e.Source.Attestation)
			}
		}
		list = append(list, one)
	}
	return list
}

func (b *build) checkpointFeed(v *view) (list []atomEntry) {
	for _, p := range v.notes {
		list = append(list, atomEntry{
			ID:      b.urn(fmt.Sprintf("checkpoint %d", p.Number)),
			Title:   fmt.Sprintf("Size %d", p.Checkpoint.Size),
			Updated: atomTime(b.submitted(p.Checkpoint.Size-1, time.Time{})),
			Link:    atomLink{"alternate", "text/html", "index.html"},
			Summary: fmt.Sprintf("root %s, %d cosignatures", p.Checkpoint.Root, len(p.Checkpoint.Cosignatures)),
		})
	}
	return list
}

func (b *build) twinFeed(v *view) (list []atomEntry) {
	for i := len(v.twins) - 1; i >= 0 && len(list) < inFeed; i-- {
		t := v.twins[i]
		list = append(list, atomEntry{
			ID:      b.urn(fmt.Sprintf("equivocation %d", t.Index)),
			Title:   fmt.Sprintf("Entries %d and %d: two manifests of one pack root", t.First, t.Index),
			Updated: atomTime(b.submitted(t.Index, v.at)),
			Link:    atomLink{"alternate", "text/html", "index.html"},
			Summary: "pack_root_sha256 " + t.PackRoot.String(),
		})
	}
	return list
}

// submitted is when the log took an entry, which it says itself.
func (b *build) submitted(index int64, otherwise time.Time) time.Time {
	if index < 0 {
		return otherwise
	}
	if row, err := b.row(index, nil, nil); err == nil && row.Entry != nil {
		return row.Entry.SubmittedAt
	}
	return otherwise
}

// visible makes of a text one that every XML reader takes: no control characters, and nothing that is not UTF-8.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r == 0xfffe || r == 0xffff || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff {
			return utf8.RuneError
		}
		return r
	}, text)
}

// newestCSV writes the newest entries for spreadsheets.
func (b *build) newestCSV(v *view) error {
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	_ = w.Write([]string{"index", "submitted_at", "pack_id", "receipt_integrity", "claim_check", "n_receipts", "mode", "assurance_level",
		"signer_id", "signer_pubkey_sha256", "source_repo", "source_attestation", "source_commit", "manifest_sha256", "pack_root_sha256", "problem"})
	for _, row := range v.rows {
		fields := make([]string, 16)
		if fields[0] = strconv.FormatInt(row.Index, 10); row.Entry != nil {
			copy(fields[1:], entryCells(row))
		} else {
			fields[15] = "not an entry" // the page has the reason, in the words of this program
		}
		_ = w.Write(fields)
	}
	w.Flush()
	if err := w.Error(); err != nil {
		return err
	}
	return b.draft.write("entries/newest.csv", text.Bytes())
}

func entryCells(row pages.Row) []string {
	e := row.Entry
	cells := []string{e.SubmittedAt.UTC().Format("2006-01-02T15:04:05.000Z"), e.PackID, e.ReceiptIntegrity, string(e.ClaimCheck),
		strconv.FormatInt(e.NReceipts, 10), string(e.Mode), e.AssuranceLevel, e.SignerID, e.SignerKeySHA256.String(),
		e.Source.Repo, e.Source.Attestation, e.Source.Commit, e.ManifestSHA256.String(), e.PackRootSHA256.String()}
	for i, cell := range cells {
		cells[i] = plainCell(cell)
	}
	return cells
}

// plainCell keeps a spreadsheet from taking a text for a formula: one that begins like a formula gets an apostrophe.
func plainCell(text string) string {
	text = visible(text)
	if first := strings.TrimLeft(text, " "); first != "" && strings.ContainsRune("=+-@|%\t\r\n", rune(first[0])) {
		return "'" + text
	}
	return text
}
