package browser

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// hostile are texts that mean something to some reader: markup, scripts, addresses, templates, formulas, marks that nobody
// sees. Each is different.
func hostile() (list []string) {
	const mark = "globalThis.hacked=1"
	for _, out := range []string{"", "\">", "'>", "</script>", "</title></textarea>", "-->", "]]>", "</style>", "</td></tr></table>"} {
		for _, in := range []string{
			"<script>" + mark + "</script>", "<img src=x onerror=" + mark + ">", "<svg onload=" + mark + ">", "<iframe srcdoc='<script>parent." + mark + "</script>'>",
			"<a href=javascript:" + mark + ">x</a>", "<style>@import 'https://evil.example/x';*{display:none}</style>", "<link rel=stylesheet href=https://evil.example/x>",
			"<base href=https://evil.example/>", "<form action=https://evil.example/><input autofocus onfocus=" + mark + ">", "<math><mi xlink:href=javascript:" + mark + ">",
			"<object data=https://evil.example/x>", "<embed src=https://evil.example/x>", "<meta http-equiv=refresh content=0;url=https://evil.example/>",
			"<details open ontoggle=" + mark + ">", "<video src=https://evil.example/x onerror=" + mark + ">", "<template shadowrootmode=open><slot>",
			"<script type=text/plain data-name=pack/x data-kind=file>", "<script type=application/json id=held>{}", "<b>bold</b>", "<!--",
		} {
			list = append(list, out+in)
		}
	}
	for _, text := range []string{
		"javascript:" + mark, "data:text/html,<script>" + mark + "</script>", "//evil.example/x", "https://evil.example/", "../../../../etc/passwd", "..%2f..%2fx", "x?y=z#w", "%00",
		"{{.}}", "{{constructor.constructor('" + mark + "')()}}", "${" + mark + "}", "`" + mark + "`", "<%= 1 %>", "#{1}", "&lt;b&gt;", "&#60;script&#62;", "&amp;", "&quot;onmouseover=" + mark,
		"=1+1", "+1", "-1", "@SUM(1)", "=HYPERLINK(\"https://evil.example\")", "|calc", "\" onmouseover=\"" + mark, "' onmouseover='" + mark, "x\" style=\"display:none", "__proto__", "constructor", "hasOwnProperty",
		"toString", "url(https://evil.example/x)", "expression(" + mark + ")", "*/" + mark + "/*", "//\n" + mark, "\\u003cscript\\u003e", "\u202eexe.gpj", "\u2066x\u2069", "\u200b\u200c\ufeff", "\u2028" + mark + "\u2029",
		"\x1b[2J\x1b]0;x\a", "\u0000", "\u0085", "a\r\nSet-Cookie: x=1", "PASS", "exit 0: intact", "verdict    exit 0: intact", strings.Repeat("<", 5000), strings.Repeat("\u0301", 300), "\U0001f600", "\U000e0041",
	} {
		list = append(list, text)
	}
	return list
}

// ascii are those that a member takes which is printable ASCII, at most 256 characters.
func ascii(list []string) (some []string) {
	for _, text := range list {
		if text != "" && len(text) <= 256 && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0 {
			some = append(some, text)
		}
	}
	return some
}

// packOf builds a pack in which texts stand wherever one may stand: name gives the one for a place.
func packOf(t *testing.T, n int, name func(place string, i int) string) string {
	t.Helper()
	at := time.Date(2026, 1, 15, 11, 0, 0, 0, time.UTC)
	var receipts []jcs.Value
	for i := range n {
		text := func(place string) jcs.Value { return jcs.Str(name(place, i)) }
		receipts = append(receipts, jcs.Obj(jcs.M("receipt_id", jcs.Str(fmt.Sprintf("%06d %s", i, name("id", i)))), jcs.M("type", jcs.Str("model_call")), jcs.M("seq", jcs.Int(int64(i))),
			jcs.M("timestamp", jcs.Str(at.Add(time.Duration(i)*time.Second).Format(time.RFC3339))), jcs.M("schema_version", jcs.Str("3.0")),
			jcs.M("model_id", text("model")), jcs.M("verdict", text("verdict")), jcs.M("error", text("error")), jcs.M("parent_receipt_id", text("parent"))))
	}
	dir := filepath.Join(t.TempDir(), "pack")
	_, err := pack.BuildDir(dir, pack.Spec{RunID: name("run", 0), PackID: name("pack", 0), Now: at.Add(time.Hour), Signer: packtest.KeyFrom(name("signer", 0), "hostile"), Receipts: receipts, SupersededBy: name("superseded", 0)})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// census counts the elements of the page, each with its attributes: two pages that differ in texts alone have one census.
const census = `JSON.stringify([...document.querySelectorAll('*')].filter((e) => !(e.tagName === 'SCRIPT' && e.type === 'text/plain'))
	.map((e) => e.tagName + ' ' + [...e.attributes].map((a) => a.name === 'value' || a.value.startsWith('blob:') ? '' : a.name + '=' + a.value).sort().join(' '))
	.reduce((n, k) => (n[k] = (n[k] ?? 0) + 1, n), {}))`

// TestTextsOfAPackNeverBecomeElements compares a page of a hostile pack with one of a pack of the same shape.
func TestTextsOfAPackNeverBecomeElements(t *testing.T) {
	texts := hostile()
	plain := ascii(texts)
	if len(texts) < 200 || len(plain) < 150 {
		t.Fatalf("%d texts, %d of them ASCII", len(texts), len(plain))
	}
	b := newTab(t)
	look := func(name func(string, int) string) string {
		page := filepath.Join(t.TempDir(), "pack.html")
		if code, out := assay(t, "page", packOf(t, len(texts), name), "-o", page); code != 0 {
			t.Fatal(out)
		}
		b.open(fileURL(t, page))
		if class, text := b.settled(nil); class != "outcome exit0" {
			t.Fatalf("%s: %s", class, text)
		}
		// All rows, as for paper.
		value[bool](b, `(dispatchEvent(new Event('beforeprint')), true)`)
		counted := value[string](b, census)
		if rows := value[int](b, `document.querySelectorAll('#table tr').length`); rows != len(texts) {
			t.Fatalf("%d rows of %d", rows, len(texts))
		}
		if hacked := value[bool](b, `'hacked' in globalThis`); hacked {
			t.Error("a script of the pack ran")
		}
		b.quiet(fileURL(t, page))
		return counted
	}
	want := look(func(place string, i int) string { return "x" })
	one := func(place string) bool {
		return place == "run" || place == "pack" || place == "signer" || place == "superseded"
	}
	for k := 0; k < len(plain); k += len(plain)/8 + 1 {
		got := look(func(place string, i int) string {
			if one(place) {
				return plain[(k+len(place))%len(plain)]
			}
			return texts[(i+len(place))%len(texts)]
		})
		if got != want {
			t.Errorf("the page of a hostile pack (%d) has other elements: %s", k, others(t, got, want))
		}
	}
	// What is not seen is shown.
	if text := value[string](b, `document.querySelector('#table').textContent`); !strings.Contains(text, `\u{202e}exe.gpj`) || !strings.Contains(text, `\u{1b}[2J`) || strings.ContainsAny(text, "\u202e\x1b\u2028") {
		t.Error("a mark that nobody sees is in the page")
	}
}
