package browser

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/packtest"
	"github.com/Haserjian/assay-ledger/site/sitetest"
)

var pictures = flag.String("pictures", "", "write the pictures of README and docs into this folder")

// TestPicturesOfTheSite writes the pictures that the documents show: go test -run Pictures -pictures ../../docs
func TestPicturesOfTheSite(t *testing.T) {
	if *pictures == "" {
		t.Skip("writes pictures: run it with -pictures")
	}
	l := must[*sitetest.Log](t)(sitetest.New("pictures"))
	for day := range int64(40) {
		for i := range 3 + (day*7)%11 {
			n := day*20 + i
			e := sitetest.Entry(n)
			e.PackID = fmt.Sprintf("pack_%s_%08x", sitetest.Began.Add(time.Duration(day)*24*time.Hour).Format("20060102T150405"), uint32(n*2654435761))
			e.SubmittedAt = sitetest.Began.Add(time.Duration(day)*24*time.Hour + time.Duration(i)*time.Hour)
			e.Source = entry.Source{Repo: []string{"acme/refunds", "acme/triage", "northwind/claims-agent"}[n%3], Attestation: []string{"ci_binding", "self", "oidc"}[n%3]}
			e.SignerID = []string{"acme-ci", "northwind-release"}[n%2]
			if err := l.Add(e.Leaf()); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Publish(sitetest.Began.Add(time.Duration(day)*24*time.Hour + 20*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	p := publish(t, l)
	b := newTab(t)
	failure := 0 // the newest honest failure
	for i := len(l.Leaves) - 1; i >= 0 && failure == 0; i-- {
		if e := must[entry.Entry](t)(entry.Parse(l.Leaves[i])); e.ClaimCheck == "FAIL" {
			failure = i
		}
	}
	// The pictures are of the day on which the log was published last.
	b.today(sitetest.Began.Add(39*24*time.Hour + 21*time.Hour))
	take := func(name string, width, height int64, scheme string, top string) {
		b.emulate(width, height, scheme)
		value[bool](b, `(document.querySelector(%q).scrollIntoView(), scrollBy(0, -20), document.fonts.ready.then(() => new Promise((ok) => requestAnimationFrame(() => requestAnimationFrame(() => ok(true))))))`, top)
		data := smaller(t, must[[]byte](t)(chromedp.Run(b.ctx, chromedp.CaptureScreenshot())))
		if len(data) > 150_000 {
			t.Errorf("%s has %d bytes", name, len(data))
		}
		if err := os.WriteFile(filepath.Join(*pictures, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b.emulate(1100, 860, "light")
	b.open(fmt.Sprintf("%sentry/index.html?i=%d", p.url, failure))
	b.said("status")
	take("site-entry.png", 1100, 1000, "light", "body")
	take("site-proof.png", 1100, 760, "dark", "#proof-h")
	file := filepath.Join(t.TempDir(), "pack.html")
	assay(t, "page", picturePack(t), "--require-claim-pass", "-o", file)
	b.emulate(1100, 900, "light")
	b.open(fileURL(t, file))
	b.settled(nil)
	take("site-pack.png", 1100, 760, "light", "body")
	take("site-rows.png", 1100, 620, "light", "#rows")
}

// today makes it some time in the pages that are opened from now on.
func (b *tab) today(now time.Time) {
	b.Helper()
	source := fmt.Sprintf(`{ const Real = Date; globalThis.Date = class extends Real { constructor(...args) { super(...(args.length ? args : [%[1]d])); } static now() { return %[1]d; } }; }`, now.UnixMilli())
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (page.AddScriptToEvaluateOnNewDocumentResult, error) {
		return cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: source})
	})
	if err != nil {
		b.Fatal(err)
	}
}

// picturePack is a run that failed a check, and says so.
func picturePack(t *testing.T) string {
	t.Helper()
	at := time.Date(2026, 2, 20, 9, 30, 0, 0, time.UTC)
	receipt := func(i int, kind string, members ...jcs.Member) jcs.Value {
		return jcs.Obj(append([]jcs.Member{jcs.M("receipt_id", jcs.Str(fmt.Sprintf("r_%012x", (i+1)*7919))), jcs.M("type", jcs.Str(kind)), jcs.M("seq", jcs.Int(int64(i))),
			jcs.M("timestamp", jcs.Str(at.Add(time.Duration(i)*1300*time.Millisecond).Format("2006-01-02T15:04:05.000000+00:00"))), jcs.M("schema_version", jcs.Str("3.0"))}, members...)...)
	}
	parent := func(i int) jcs.Member { return jcs.M("parent_receipt_id", jcs.Str(fmt.Sprintf("r_%012x", (i+1)*7919))) }
	call := func(model, end string, in, out int64) []jcs.Member {
		return []jcs.Member{jcs.M("provider", jcs.Str("openai")), jcs.M("model_id", jcs.Str(model)), jcs.M("finish_reason", jcs.Str(end)), jcs.M("input_tokens", jcs.Int(in)), jcs.M("output_tokens", jcs.Int(out))}
	}
	list := []jcs.Value{
		receipt(0, "model_call", call("gpt-5", "tool_calls", 2140, 188)...),
		receipt(1, "mcp_tool_call", jcs.M("tool_name", jcs.Str("orders.lookup")), jcs.M("status", jcs.Str("ok")), parent(0)),
		receipt(2, "model_call", append(call("gpt-5", "tool_calls", 2611, 240), parent(1))...),
		receipt(3, "guardian_check", jcs.M("action", jcs.Str("refund 412.00 EUR")), jcs.M("verdict", jcs.Str("allow")), parent(2)),
		receipt(4, "mcp_tool_call", jcs.M("tool_name", jcs.Str("payments.refund")), jcs.M("status", jcs.Str("timeout")), parent(2)),
		receipt(5, "model_call", append(call("gpt-5-mini", "stop", 960, 71), parent(4))...),
	}
	dir := filepath.Join(t.TempDir(), "pack")
	_, err := pack.BuildDir(dir, pack.Spec{RunID: "trace_20260220T093000_5f2c9a01", PackID: "pack_20260220T093012_5f2c9a01", Now: at.Add(time.Minute), Signer: packtest.KeyFrom("acme-ci", "pictures"),
		Receipts: list, Cards: []claim.Card{packtest.Builtin("receipt_completeness"), packtest.Builtin("guardian_enforcement")}})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// smaller writes a picture with the 256 colours that it has most of: these pages have few.
func smaller(t *testing.T, data []byte) []byte {
	t.Helper()
	from := must[image.Image](t)(png.Decode(bytes.NewReader(data)))
	counted := map[color.RGBA]int{}
	bounds := from.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counted[color.RGBAModel.Convert(from.At(x, y)).(color.RGBA)]++
		}
	}
	var common []color.RGBA
	for c := range counted {
		common = append(common, c)
	}
	slices.SortFunc(common, func(a, b color.RGBA) int {
		return cmp.Or(counted[b]-counted[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	palette := color.Palette{}
	for _, c := range common[:min(256, len(common))] {
		palette = append(palette, c)
	}
	to, index := image.NewPaletted(bounds, palette), map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := color.RGBAModel.Convert(from.At(x, y)).(color.RGBA)
			i, known := index[c]
			if !known {
				i = uint8(palette.Index(c))
				index[c] = i
			}
			to.SetColorIndex(x, y, i)
		}
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, to); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
