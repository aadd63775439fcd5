package witness_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
	"github.com/Haserjian/assay-ledger/witness"
)

// BenchmarkAddCheckpoint is one new leaf an update, every log waiting for its
// answer, over SQLite with every commit on disk. One op is one cosigned checkpoint.
func BenchmarkAddCheckpoint(b *testing.B) {
	for name, cosigners := range map[string][]*trust.Cosigner{
		"ed25519": {edKey.Cosigner},
		"both":    {edKey.Cosigner, mlKey.Cosigner},
	} {
		for _, n := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/logs=%d", name, n), func(b *testing.B) { benchmark(b, cosigners, n) })
		}
	}
}

func benchmark(b *testing.B, cosigners []*trust.Cosigner, n int) {
	var lines []trust.PolicyLog
	requests := make([][]trust.AddCheckpoint, n)
	for i := range requests {
		log := trusttest.NewLog(fmt.Sprintf("bench.example/%d", i))
		lines = append(lines, trust.PolicyLog{VKey: log.Signer.VKey()})
		for size := range int64((b.N + n - 1 - i) / n) {
			log.Append(fmt.Append(nil, size))
			requests[i] = append(requests[i], request(log, size, size+1))
		}
	}
	policy, err := trust.ParsePolicy(trust.FormatPolicy(lines, nil, 0))
	if err != nil {
		b.Fatal(err)
	}
	w, err := witness.New(witness.Config{Policy: policy, Cosigners: cosigners, Store: openSQLite(b), Rate: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, own := range requests {
		wg.Go(func() {
			for _, r := range own {
				if _, err := w.AddCheckpoint(context.Background(), r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cosigned/s")
}
