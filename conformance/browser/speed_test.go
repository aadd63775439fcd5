package browser

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// computed is how long the page has computed so far, which on a machine that does nothing else is how long one waits.
func (b *tab) computed() time.Duration {
	b.Helper()
	metrics := must[performance.GetMetricsResult](b.T)(chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (performance.GetMetricsResult, error) {
		if _, err := cdp.Call(ctx, t, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
			return performance.GetMetricsResult{}, err
		}
		return cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
	}))
	for _, m := range metrics.Metrics {
		if m.Name == "TaskDuration" {
			return time.Duration(m.Value * float64(time.Second))
		}
	}
	b.Fatal("the browser does not say how long it computed")
	return 0
}

// TestALargePackIsJudgedWhileOneWaits: from the choice of the files to the verdict with its rows. Only ASSAY_LONG judges the
// large one, and holds both to what is promised.
func TestALargePackIsJudgedWhileOneWaits(t *testing.T) {
	page := filepath.Join(t.TempDir(), "verify.html")
	assay(t, "page", "-o", page)
	long := os.Getenv("ASSAY_LONG") != ""
	for _, size := range []struct {
		receipts int
		promised time.Duration
		long     bool
	}{{1000, time.Second, false}, {100_000, 10 * time.Second, true}} {
		if size.long && !long {
			continue
		}
		dir := filepath.Join(t.TempDir(), "pack")
		if _, err := pack.BuildDir(dir, pack.Spec{RunID: "run", Now: time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC), Signer: packtest.KeyFrom("speed", "speed"),
			Stream: calls(size.receipts), Cards: []claim.Card{packtest.Builtin("receipt_completeness"), packtest.Builtin("timestamp_ordering")}}); err != nil {
			t.Fatal(err)
		}
		b := newTab(t)
		b.open(fileURL(t, page))
		b.settled(nil)
		before, started := b.computed(), time.Now()
		class, text := b.settled(func() { b.choose("#files", filesOf(t, dir)...) })
		waited, took := time.Since(started), b.computed()-before
		if class != "outcome exit0" || b.word("claims") != "PASS" {
			t.Errorf("%s: %s", class, text)
		}
		t.Logf("%d receipts: %s, of which the page computed %s", size.receipts, waited.Round(time.Millisecond), took.Round(time.Millisecond))
		if took == 0 || long && took > size.promised {
			t.Errorf("%d receipts took %s, promised are %s", size.receipts, took, size.promised)
		}
	}
}

// calls are receipts of model calls.
func calls(n int) iter.Seq2[jcs.Value, error] {
	at := time.Date(2026, 1, 15, 11, 0, 0, 0, time.UTC)
	return func(yield func(jcs.Value, error) bool) {
		for i := range n {
			if !yield(jcs.Obj(jcs.M("receipt_id", jcs.Str(fmt.Sprintf("r_%012x", i))), jcs.M("type", jcs.Str("model_call")), jcs.M("seq", jcs.Int(int64(i))),
				jcs.M("timestamp", jcs.Str(at.Add(time.Duration(i)*time.Second).Format("2006-01-02T15:04:05.000000+00:00"))), jcs.M("schema_version", jcs.Str("3.0")),
				jcs.M("provider", jcs.Str("openai")), jcs.M("model_id", jcs.Str("gpt-4")), jcs.M("finish_reason", jcs.Str("stop")), jcs.M("input_tokens", jcs.Int(500)),
				jcs.M("output_tokens", jcs.Int(200)), jcs.M("total_tokens", jcs.Int(700)), jcs.M("latency_ms", jcs.Int(812))), nil) {
				return
			}
		}
	}
}
