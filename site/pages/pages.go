// Package pages is what a reader of the static site sees: views, the templates that show them, and the style sheet and
// modules that the pages load.
//
// A page is a function of its view: there is no clock, no network and no state here, so the same log makes the same
// bytes. Texts of entries come from anybody. They become text of an element or the value of a query, by html/template
// alone, and in the browser by textContent.
package pages

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/Haserjian/assay-ledger/pack/entry"
)

//go:embed templates static
var files embed.FS

// Static holds style.css and the modules of the pages. The site serves them in assets/, beside the modules of the
// verifier in verifier/, which they import.
func Static() fs.FS {
	static, err := fs.Sub(files, "static")
	if err != nil { // only for a path that is none
		return embed.FS{}
	}
	return static
}

// Page is one of the views of this package.
type Page interface {
	// sheet names the page, its template and, unless it is empty, its module.
	sheet() sheet
	site() Site
}

// sheet is what the frame of a page needs to know of it.
type sheet struct {
	template string
	title    string
	module   string // in assets/, without its .mjs
	top      bool   // the page stands at the root of the site, not in a folder of it
}

func (s Site) site() Site { return s }

func (Home) sheet() sheet         { return sheet{template: "home", module: "home", top: true} }
func (Entry) sheet() sheet        { return sheet{template: "entry", title: "Entry", module: "entry"} }
func (Signers) sheet() sheet      { return sheet{template: "signer", title: "Signer", module: "list"} }
func (Sources) sheet() sheet      { return sheet{template: "source", title: "Source", module: "list"} }
func (Witnesses) sheet() sheet    { return sheet{template: "witnesses", title: "Witnesses"} }
func (Equivocation) sheet() sheet { return sheet{template: "equivocation", title: "Equivocation"} }
func (Verify) sheet() sheet       { return sheet{template: "verify", title: "Verify without us"} }
func (Limits) sheet() sheet       { return sheet{template: "limits", title: "What it does not prove"} }
func (Checkpoints) sheet() sheet {
	return sheet{template: "checkpoints", title: "Checkpoints", module: "checkpoints"}
}
func (e Entries) sheet() sheet {
	s := sheet{template: "entries", title: "Entries", module: "entries"}
	if e.Page > 1 {
		s.title = fmt.Sprintf("Entries, page %d", e.Page)
	}
	return s
}

// frame is what the templates get.
type frame struct {
	Site
	Root   string // leads from the page to the root of the site
	Name   string // of the template, which is that of the folder
	Title  string
	Module string
	View   Page
}

// Render writes a page.
func Render(p Page) ([]byte, error) {
	s := p.sheet()
	f := frame{Site: p.site(), Root: "../", Name: s.template, Title: s.title, Module: s.module, View: p}
	if s.top {
		f.Root = ""
	}
	all, err := templates()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := all[s.template].ExecuteTemplate(&b, "frame", f); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// templates gives one for each page, with the frame and the parts that pages share.
var templates = sync.OnceValues(func() (map[string]*template.Template, error) {
	all := map[string]*template.Template{}
	names, err := fs.Glob(files, "templates/*.html")
	for _, name := range names {
		page := strings.TrimSuffix(path.Base(name), ".html")
		t := template.New(page).Funcs(words)
		if all[page], err = t.ParseFS(files, "templates/frame.html", "templates/parts.html", name); err != nil {
			return nil, err
		}
	}
	return all, err
})

// words are the functions of the templates.
var words = template.FuncMap{
	"count":       count,
	"date":        date,
	"instant":     instant,
	"stamp":       stamp,
	"upTo":        upTo,
	"roundUp":     roundUp,
	"clock":       clock,
	"short":       short,
	"chart":       newChart,
	"hexdump":     hexdump,
	"fingerprint": fingerprint,
	"first":       first,

	// Whoever may vouch for a source: the entry page holds the words for each.
	"vouchers": func() []entry.Source {
		return []entry.Source{{Attestation: "self"}, {Attestation: "ci_binding"}, {Attestation: "oidc"}, {}}
	},
}
