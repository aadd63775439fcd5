// Program bench measures the figures that the product promises, one line each, as ratios
// against a peer in the same run wherever there is a peer: absolute times depend on the
// machine, a ratio does not. It exits 1 if a goal is missed.
//
//	go run ./conformance/bench          all figures, some minutes
//	go run ./conformance/bench -only verify
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/ledger"
)

// figure measures one promise and says whether it was kept.
type figure struct {
	name, promise string
	measure       func(ctx context.Context) (text string, kept bool, err error)
}

var figures = []figure{
	{"canonicaliser", "receipt lines, at least 4 times gowebpki/jcs", canonicaliser},
	{"verify", "a pack of 10,000 receipts in under 0.2 s", verifyPack},
	{"reference", "10,000 receipts: verify and build at least 20 times as fast as the Python tool", reference},
	{"million", "1,000,000 receipts in no order, one core: built in under 300 MB and 30 s, verified in under 200 MB at 150 MB/s", million},
	{"emit", "a receipt in under 0.3 ms, no slower after 100,000", emit},
	{"start", "assay version and assay emit start in under 15 ms", start},
	{"site", "a site of 100,000 entries in under 20 s", siteFigure},
	{"sitemillion", "1,000,000 entries: 100 more in under 2 s, built in under 256 MB, a lookup of under 64 KB", siteMillion},
	{"latency", "anchor at low rate, 2 of 3 witnesses, timestamped: p50 < 60 ms, p99 < 300 ms", latency},
	{"clients", "64 clients, 200 ms between checkpoints, timestamped: at least 250/s, p99 < 400 ms", clients},
	{"bulk", "2,048 writers: at least 0.7 of a bare Tessera POSIX appender with the same entries", bulk},
}

func main() { os.Exit(run(context.Background(), os.Args[1:])) }

func run(ctx context.Context, args []string) int {
	if len(args) > 0 && args[0] == "step" { // a figure runs a part of itself in a process of its own
		return runStep(args[1:])
	}
	if len(args) > 0 && args[0] == "appender" { // a log writes through a process of its own, as 'ledger serve' does
		if err := ledger.ServeAppender(os.Stdin, os.Stdout, slog.New(slog.DiscardHandler)); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			return 70
		}
		return 0
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	only := flags.String("only", "", "measure only the figures whose name holds this")
	profile := flags.String("cpuprofile", "", "write a CPU profile to this file")
	if err := flags.Parse(args); err != nil {
		return 3
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			return 3
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			return 70
		}
		defer pprof.StopCPUProfile()
	}
	missed := 0
	for _, f := range figures {
		if !strings.Contains(f.name, *only) {
			continue
		}
		text, kept, err := f.measure(ctx)
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", f.name, err)
			return 70
		}
		word := "kept  "
		if !kept {
			word = "MISSED"
			missed++
		}
		fmt.Printf("%-13s %s  %s (promise: %s)\n", f.name, word, text, f.promise)
	}
	if missed > 0 {
		return 1
	}
	return 0
}

// quantile is the q-quantile of durations, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))].Round(100 * time.Microsecond)
}
