package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
)

// production takes the configuration that tests make faster back to its defaults.
func production(c *Config) { c.Interval, c.BatchAge = 0, 0 }

// quantile of durations that are sorted.
func quantile(d []time.Duration, q float64) float64 {
	return d[int(q*float64(len(d)-1))].Seconds() * 1000
}

// BenchmarkAnchor is one client that comes by every 300 ms: 2 of 3 witnesses, and
// the proof is in its hands when Add returns. Target: p50 60 ms, p99 300 ms.
func BenchmarkAnchor(b *testing.B) {
	w := newWorld(b, 3, 2, production)
	w.open()
	var took []time.Duration
	i := 0
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for b.Loop() {
		manifestOf(b, i)
		<-tick.C
		started := time.Now()
		w.add(i)
		took = append(took, time.Since(started))
		i++
	}
	slices.Sort(took)
	b.ReportMetric(quantile(took, 0.5), "p50-ms")
	b.ReportMetric(quantile(took, 0.99), "p99-ms")
}

// BenchmarkAdders are clients that submit the next manifest as soon as they hold the
// proof of the last. Target for 64: 250/s, p99 300 ms.
func BenchmarkAdders(b *testing.B) {
	for _, clients := range []int{64, 512} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			w := newWorld(b, 3, 2, production)
			l := w.open()
			for i := range b.N {
				manifestOf(b, i)
			}
			var next atomic.Int64
			var mu sync.Mutex
			var took []time.Duration
			var wg sync.WaitGroup
			b.ResetTimer()
			for range clients {
				wg.Go(func() {
					for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
						started := time.Now()
						if _, err := l.Add(context.Background(), manifestOf(b, i), entry.Source{}); err != nil {
							b.Error(err)
							return
						}
						mu.Lock()
						took = append(took, time.Since(started))
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(quantile(took, 0.5), "p50-ms")
			b.ReportMetric(quantile(took, 0.99), "p99-ms")
		})
	}
}

func BenchmarkDuplicate(b *testing.B) {
	w := newWorld(b, 3, 2, production)
	l := w.open()
	w.addAll(0, 300)
	for b.Loop() {
		if _, err := l.Add(b.Context(), manifestOf(b, 7), entry.Source{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkProve(b *testing.B) {
	w := newWorld(b, 0, 0)
	l := w.open()
	w.addAll(0, 300)
	i := int64(0)
	for b.Loop() {
		if _, err := l.Prove(b.Context(), i%300); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

func BenchmarkTile(b *testing.B) {
	w := newWorld(b, 0, 0)
	l := w.open()
	w.addAll(0, 300)
	for b.Loop() {
		if _, err := l.Tile(b.Context(), "tile/0/000"); err != nil {
			b.Fatal(err)
		}
	}
}
