package ledger

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// grouped writes a number as the pages do: 65,536.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// The pages promise figures, and names that a release after this one still finds. What they say is what the program does.
func TestTheFiguresAndNamesOfThePagesAreThoseOfTheProgram(t *testing.T) {
	pages := map[string]string{}
	for _, page := range []string{"spec/storage.md", "spec/http.md", "spec/witness.md", "spec/ledger.md", "RELIABILITY.md"} {
		text, err := os.ReadFile(filepath.Join("..", "docs", filepath.FromSlash(page)))
		must(t, err)
		pages[page] = strings.Join(strings.Fields(string(text)), " ")
	}
	seconds := func(d time.Duration) int64 { return int64(d / time.Second) }
	for _, c := range []struct{ page, says string }{
		{"spec/ledger.md", fmt.Sprintf("An entry MUST have at most %s bytes.", grouped(maxLeaf))},
		{"spec/http.md", fmt.Sprintf("the bytes of `pack_manifest.json`, at most %s,", grouped(MaxManifest))},
		{"spec/http.md", fmt.Sprintf("that is older than %d seconds MUST count as none", seconds(maxAge))},
		{"spec/witness.md", fmt.Sprintf("Answers MUST be bounded to %s bytes and %d s", grouped(maxAnswer), seconds(witnessTimeout))},
		{"spec/storage.md", fmt.Sprintf("No more than %s files and %s bytes MUST wait", grouped(spoolFiles), grouped(spoolBytes))},
		{"spec/storage.md", fmt.Sprintf("pauses double from %d ms to %d s.", spoolRetry.Milliseconds(), seconds(spoolLastRetry))},
		{"spec/storage.md", fmt.Sprintf("up to %d seconds", seconds(askEvery))},
		{"spec/storage.md", fmt.Sprintf("that does not answer for %d seconds refuses", seconds(probeStuck))},
		{"spec/storage.md", fmt.Sprintf("is silent for %d seconds is killed; one that writes has %d.", seconds(childGone), seconds(childStart))},
		{"spec/storage.md", fmt.Sprintf("one pass in %d minutes by default (`--scrub`), at most %d steps a second", int(scrubEvery/time.Minute), scrubFastest)},
		{"RELIABILITY.md", fmt.Sprintf("Less than %d MiB free counts as full", spareBytes>>20)},
		{"RELIABILITY.md", fmt.Sprintf("After %d s without an answer `/readyz` says 503", seconds(childStuck))},
		{"RELIABILITY.md", fmt.Sprintf("Parents are kept verified in memory (%d MiB)", maxCachedTiles*tiles.Width*2*32>>20)},
		{"spec/storage.md", "`log/" + appenderLock + "`"},
		{"spec/storage.md", ".state/treeState, " + appenderLock + " "},
		{"spec/storage.md", "`" + identityFile + "` | `" + guardVersion + "`, newline, vkey of the log, newline"},
		{"spec/storage.md", strings.TrimSpace(spoolMagic)},
		{"spec/storage.md", "`<digest>" + spoolAside + "`"},
	} {
		if !strings.Contains(pages[c.page], c.says) {
			t.Errorf("docs/%s does not say: %s", c.page, c.says)
		}
	}
}
