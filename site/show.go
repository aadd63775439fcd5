package site

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/site/pages"
	"github.com/Haserjian/assay-ledger/site/single"
	"github.com/Haserjian/assay-ledger/site/verifier"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// What of the log stands in pages as they are: the rest a reader's browser fetches and proves.
const (
	newestEntries = 200
	entriesAPage  = 50
	newestNotes   = 50
	inFeed        = 50
)

// show writes what people and feed readers see, and what names the site. Nothing of an entry becomes a path.
func (b *build) show() error {
	v, err := b.view()
	if err != nil {
		return err
	}
	for _, write := range []func(*view) error{b.ownWords, b.assets, b.pages, b.feeds} {
		if err := write(v); err != nil {
			return err
		}
	}
	return nil
}

// view is what pages and feeds are made of.
type view struct {
	pages.Site
	at     time.Time   // when the newest entry was submitted; zero: none of the newest leaves is an entry
	rows   []pages.Row // newest first
	notes  []pages.Published
	twins  []Twin
	growth []pages.Day
	health []pages.Witness
}

func (b *build) view() (*view, error) {
	v := &view{Site: pages.Site{Origin: b.log.Origin, VKey: b.log.VKey, Policy: string(b.told.Text()),
		Checkpoint: b.cp, HasRoots: len(b.roots) > 0}}
	for _, w := range b.told.Witnesses() {
		v.health = append(v.health, pages.Witness{PolicyWitness: w})
	}
	if b.cp == nil {
		return v, nil
	}
	var err error
	v.Checkpoints = b.history.count
	if v.twins, v.Equivocated, err = b.readTwins(); err != nil {
		return nil, err
	}
	if err := b.newestRows(v); err != nil {
		return nil, err
	}
	days, err := ParseGrowth(b.history.growth)
	if err != nil {
		return nil, err
	}
	for _, d := range days {
		v.growth = append(v.growth, pages.Day(d))
	}
	return v, b.newestNotes(v)
}

// newestRows reads the newest entries. What is not an entry is a row all the same.
func (b *build) newestRows(v *view) error {
	var roots *x509.CertPool
	if len(b.roots) > 0 {
		parsed, err := timestamp.ParseRoots(b.roots)
		if err != nil {
			return fmt.Errorf("the log's roots of timestamps: %w", err)
		}
		roots = parsed.Pool()
	}
	for index := b.cp.Size - 1; index >= 0 && len(v.rows) < newestEntries; index-- {
		row, err := b.row(index, v.twins, roots)
		if err != nil {
			return err
		}
		v.rows = append(v.rows, row)
	}
	if i := slices.IndexFunc(v.rows, func(r pages.Row) bool { return r.Entry != nil }); i >= 0 {
		v.at = v.rows[i].Entry.SubmittedAt
	}
	return nil
}

func (b *build) row(index int64, twins []Twin, roots *x509.CertPool) (pages.Row, error) {
	leaf, err := b.leaf(index)
	if err != nil {
		return pages.Row{}, err
	}
	row := pages.Row{Index: index, Leaf: leaf}
	e, err := entry.Parse(leaf)
	if err != nil {
		row.Problem = err.Error()
		return row, nil
	}
	row.Entry = &e
	if e.TimestampToken != nil {
		row.Time = readTime(&e, roots)
	}
	for _, t := range twins {
		if t.PackRoot != e.PackRootSHA256 {
			continue
		}
		for _, other := range []int64{t.First, t.Index} {
			if other == index || slices.Contains(row.Twins, other) {
				continue
			}
			manifest, err := b.manifest(other)
			if err != nil {
				return pages.Row{}, err
			}
			if manifest != e.ManifestSHA256 { // one manifest may be logged several times, which contradicts nothing
				row.Twins = append(row.Twins, other)
			}
		}
	}
	slices.Sort(row.Twins)
	return row, nil
}

// manifest is that of an entry which is known to have a twin. Each is read once: many entries may be twins of one another.
func (b *build) manifest(index int64) (trust.Digest, error) {
	if digest, read := b.manifests[index]; read {
		return digest, nil
	}
	leaf, err := b.leaf(index)
	if err != nil {
		return trust.Digest{}, err
	}
	e, err := entry.Parse(leaf)
	if err != nil {
		return trust.Digest{}, fmt.Errorf("%w: %s names entry %d: %w", ErrSiteDamaged, twinsFile, index, err)
	}
	if b.manifests == nil {
		b.manifests = map[int64]trust.Digest{}
	}
	b.manifests[index] = e.ManifestSHA256
	return e.ManifestSHA256, nil
}

// readTime judges a token as a verifier would that has these roots and no clock: pages depend on none, so whether a token is
// of the future they leave open, and say so.
func readTime(e *entry.Entry, roots *x509.CertPool) *pages.Time {
	if roots == nil {
		return &pages.Time{Problem: "not checked: this site names no roots to check it with"}
	}
	token, err := timestamp.Verify(e.TimestampToken, e.ManifestSHA256, timestamp.Options{Roots: roots})
	if err != nil {
		return &pages.Time{Problem: "not believed: " + err.Error()}
	}
	text, fails := e.Contradiction(token.Time, token.By())
	if fails {
		return &pages.Time{Problem: "not believed: " + text}
	}
	return &pages.Time{Until: token.By().UTC(), By: token.Signer, Contradiction: text}
}

// newestNotes reads the end of the history: what is published of it, and how the witnesses did.
func (b *build) newestNotes(v *view) error {
	seen := func(cp *trust.Checkpoint, late bool) {
		for _, c := range cp.Cosignatures {
			i := slices.IndexFunc(v.health, func(w pages.Witness) bool { return w.Name == c.Witness })
			if w := &v.health[i]; c.Time.After(w.Last) {
				w.Last, w.LastSize, w.Late = c.Time, cp.Size, late
			}
		}
	}
	notes, err := readNotes(b.draft.read, b.history.count, window)
	if err != nil {
		return siteDamaged(err)
	}
	for i, note := range notes {
		cp, err := b.told.OpenLogSignature(note)
		if err != nil {
			return fmt.Errorf("%w: checkpoint %d of its history: %w", ErrSiteDamaged, b.history.count-int64(len(notes)-i), err)
		}
		seen(cp, false)
		for k := range v.health {
			w := &v.health[k]
			w.Of++
			if slices.ContainsFunc(cp.Cosignatures, func(c trust.Cosignature) bool { return c.Witness == w.Name }) {
				w.Given++
			}
		}
		if len(notes)-i > newestNotes {
			continue
		}
		p := pages.Published{Number: b.history.count - int64(len(notes)-i), Checkpoint: cp}
		if _, err := b.told.OpenCheckpoint(note); err != nil {
			p.Problem = err.Error()
		}
		v.notes = append(v.notes, p)
	}
	seen(b.cp, true) // what it has and the history has not came after the publication
	slices.Reverse(v.notes)
	return nil
}

// ownWords writes what the log and the site say of themselves.
func (b *build) ownWords(v *view) error {
	desc := Description{Origin: v.Origin, VKey: v.VKey, Program: b.Program, BasePath: b.BasePath, Contact: b.Contact,
		Roots: v.HasRoots}
	text, err := desc.Marshal()
	if err != nil {
		return err
	}
	if err := b.draft.write(descriptionFile, text); err != nil {
		return err
	}
	if v.HasContact = len(b.Contact) > 0 && !v.at.IsZero(); v.HasContact {
		err = b.draft.write(securityFile, security(b.Contact, v.at))
	} else {
		err = b.gone(securityFile)
	}
	if err != nil {
		return err
	}
	if v.HasRoots {
		err = b.draft.write("tsa-roots.pem", b.roots)
	} else {
		err = b.gone("tsa-roots.pem")
	}
	if err != nil {
		return err
	}
	if err := b.draft.write("policy", b.told.Text()); err != nil {
		return err
	}
	// Without it GitHub Pages leaves out what begins with a dot.
	if err := b.draft.write(".nojekyll", nil); err != nil {
		return err
	}
	if b.cp == nil {
		return nil
	}
	return b.draft.write("checkpoint", b.cp.Signed)
}

// gone drops a file that an earlier build may have written.
func (b *build) gone(name string) error {
	if _, err := b.draft.root.Lstat(name); isMissing(err) {
		return nil
	} else if err != nil {
		return err
	}
	b.draft.drop(name)
	return nil
}

// assets writes style sheet, modules, and the verifier that is one file.
func (b *build) assets(v *view) error {
	page, err := single.Verifier()
	if err != nil {
		return err
	}
	v.PageSHA256 = trust.Digest(sha256.Sum256(page)).String()
	if v.ScriptSHA256, err = single.ScriptSHA256(); err != nil {
		return err
	}
	if err := b.draft.write("verify.html", page); err != nil {
		return err
	}
	if err := b.draft.write("verify.html.sha256", sha256Line("verify.html", page)); err != nil {
		return err
	}
	for folder, files := range map[string]fs.FS{"assets": pages.Static(), "verifier": verifier.Files} {
		list, err := fs.ReadDir(files, ".")
		if err != nil {
			return err
		}
		for _, f := range list {
			data, err := fs.ReadFile(files, f.Name())
			if err != nil {
				return err
			}
			if err := b.draft.write(folder+"/"+f.Name(), data); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *build) pages(v *view) error {
	all := map[string]pages.Page{
		"index.html":              pages.Home{Site: v.Site, Growth: v.growth, Newest: v.rows},
		"entry/index.html":        pages.Entry{Site: v.Site},
		"signer/index.html":       pages.Signers{Site: v.Site, Known: known(v.rows, signerOf)},
		"source/index.html":       pages.Sources{Site: v.Site, Known: known(v.rows, sourceOf)},
		"witnesses/index.html":    pages.Witnesses{Site: v.Site, Witnesses: v.health},
		"checkpoints/index.html":  pages.Checkpoints{Site: v.Site, Newest: v.notes},
		"verify/index.html":       pages.Verify{Site: v.Site},
		"limits/index.html":       pages.Limits{Site: v.Site},
		"equivocation/index.html": nil,
	}
	cases, err := b.cases(v)
	if err != nil {
		return err
	}
	all["equivocation/index.html"] = pages.Equivocation{Site: v.Site, Cases: cases, Whole: true}
	count := max(1, (len(v.rows)+entriesAPage-1)/entriesAPage)
	for page := range count {
		name := "entries/index.html"
		if page > 0 {
			name = fmt.Sprintf("entries/%d.html", page+1)
		}
		all[name] = pages.Entries{Site: v.Site, Page: page + 1, Pages: count,
			Rows: v.rows[page*entriesAPage : min(len(v.rows), (page+1)*entriesAPage)]}
	}
	for name, page := range all {
		text, err := pages.Render(page)
		if err != nil {
			return fmt.Errorf("making %s: %w", name, err)
		}
		if err := b.draft.write(name, text); err != nil {
			return err
		}
	}
	return nil
}

func signerOf(e *entry.Entry) (key, name string) { return e.SignerKeySHA256.String(), e.SignerID }
func sourceOf(e *entry.Entry) (key, name string) { return e.Source.Repo, "" }

// known lists who stands in the newest entries, the last one first.
func known(rows []pages.Row, of func(*entry.Entry) (key, name string)) (list []pages.Known) {
	at := map[string]int{}
	for _, row := range rows {
		if row.Entry == nil {
			continue
		}
		key, name := of(row.Entry)
		if key == "" {
			continue
		}
		i, there := at[key]
		if !there {
			i = len(list)
			at[key] = i
			list = append(list, pages.Known{Key: key, Last: row.Index})
		}
		list[i].Count++
		if name != "" && !slices.Contains(list[i].Names, name) {
			list[i].Names = append(list[i].Names, name)
		}
	}
	return list
}

// mostCases is how many pack roots the page shows, and how many entries of each.
const mostCases = 50

// cases gathers the newest records by their pack root.
func (b *build) cases(v *view) (list []pages.Case, err error) {
	at := map[trust.Digest]int{}
	for _, t := range slices.Backward(v.twins) {
		i, there := at[t.PackRoot]
		if !there {
			if len(list) == mostCases {
				continue
			}
			first, err := b.row(t.First, nil, nil)
			if err != nil {
				return nil, err
			}
			i = len(list)
			at[t.PackRoot] = i
			list = append(list, pages.Case{PackRoot: t.PackRoot, Rows: []pages.Row{first}})
		}
		if len(list[i].Rows) >= mostCases {
			continue
		}
		row, err := b.row(t.Index, nil, nil)
		if err != nil {
			return nil, err
		}
		list[i].Rows = append(list[i].Rows, row)
	}
	for i := range list {
		slices.SortFunc(list[i].Rows, func(a, b pages.Row) int { return cmp.Compare(a.Index, b.Index) })
	}
	return list, nil
}
