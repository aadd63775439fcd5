package pack

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// TestAtk_P26_EveryFlippedBitIsTampering flips each bit of the five files of a built pack, one at a time,
// and every ninth of another pack whose claims are executed as well: all of them in make soak, otherwise every
// ninth and every 81st, so that each byte is met, and each place in a byte as often as the next.
// VFY-10
func TestAtk_P26_EveryFlippedBitIsTampering(t *testing.T) {
	plain, _, _ := plainPack(t)
	delete(plain, manifest.SummaryName)
	step := 9
	switch {
	case os.Getenv("ASSAY_LONG") != "":
		step = 1
	case testing.Short() || racetest.Enabled:
		step = 41
	}
	if n := flipBits(t, plain, step); step == 1 && n < 40000 {
		t.Errorf("only %d mutants", n)
	}
	flipBits(t, smallPack(t), 9*step)
}

// flipBits verifies the files with every step-th bit flipped, and returns how many mutants that were.
func flipBits(t *testing.T, files memoryFS, step int) (n int) {
	t.Helper()
	if r := mustVerify(t, files, Options{Now: builtAt}); r.ExitCode() != 0 || len(files) != 5 {
		t.Fatalf("%d files: %v", len(files), r.Findings)
	}
	type mutant struct {
		name string
		bit  int
	}
	work := make(chan mutant, 64)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			mine := maps.Clone(files)
			for m := range work {
				data := bytes.Clone(files[m.name])
				data[m.bit/8] ^= 1 << (m.bit % 8)
				mine[m.name] = data
				r, err := Verify(mine, Options{Now: builtAt})
				mine[m.name] = files[m.name]
				if err != nil || r.ExitCode() != 2 {
					t.Errorf("%s bit %d: exit %d, error %v", m.name, m.bit, r.ExitCode(), err)
				}
			}
		})
	}
	for name, data := range files {
		for bit := 0; bit < 8*len(data); bit += step {
			work <- mutant{name, bit}
			n++
		}
	}
	close(work)
	wg.Wait()
	t.Logf("%d mutants", n)
	return n
}

// TestAtk_P26_EverySpliceIsTampering cuts, doubles, moves and inserts pieces. Only what leaves the same
// bytes, or spells the same signed manifest in other white space, may pass.
func TestAtk_P26_EverySpliceIsTampering(t *testing.T) {
	files := smallPack(t)
	rng := rand.New(rand.NewPCG(26, 26))
	names := slices.Sorted(maps.Keys(files))
	rounds := 5000
	if testing.Short() || racetest.Enabled {
		rounds = 500
	}
	for range rounds {
		name, other := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
		data, from := files[name], files[other]
		i := rng.IntN(len(data) + 1)
		j := min(len(data), i+rng.IntN(40))
		k := rng.IntN(len(from) + 1)
		l := min(len(from), k+rng.IntN(40))
		spliced := slices.Concat(data[:i], from[k:l], data[j:])
		if bytes.Equal(spliced, data) || name == manifest.Name && sameManifest(spliced, data) {
			continue
		}
		changed := maps.Clone(files)
		changed[name] = spliced
		wantTampered(t, fmt.Sprintf("%s with %q for %q at %d", name, from[k:l], data[i:j], i), changed)
	}
	// One byte put in at every place of every file.
	for name, data := range files {
		for i := 0; i <= len(data); i += 1 + rounds/5000*4 {
			changed := maps.Clone(files)
			changed[name] = slices.Concat(data[:i], []byte{byte(1 + i%255)}, data[i:])
			if name == manifest.Name && sameManifest(changed[name], data) {
				continue
			}
			wantTampered(t, fmt.Sprintf("%s with a byte at %d", name, i), changed)
		}
	}
}

// sameManifest reports whether two texts differ only outside of JSON values and have one canonical form:
// a manifest's spelling is not its content (PCK-21).
func sameManifest(a, b []byte) bool {
	x, err1 := jcs.Pack(nil, a, jcs.Limits{})
	y, err2 := jcs.Pack(nil, b, jcs.Limits{})
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

func TestAtk_P26_EveryTruncationAndExtensionIsTampering(t *testing.T) {
	files := smallPack(t)
	step := 1
	if testing.Short() || racetest.Enabled {
		step = 41
	}
	for name, data := range files {
		for n := 0; n < len(data); n += step {
			changed := maps.Clone(files)
			changed[name] = data[:n]
			wantTampered(t, fmt.Sprintf("%s cut to %d", name, n), changed)
		}
		for _, tail := range []string{"\x00", "{}", "x", "\n\x00", "\xff", "]"} {
			changed := maps.Clone(files)
			changed[name] = append(bytes.Clone(data), tail...)
			wantTampered(t, fmt.Sprintf("%s with %q", name, tail), changed)
		}
		changed := maps.Clone(files)
		delete(changed, name)
		wantTampered(t, "without "+name, changed)
	}
}
