package second

import (
	"os/exec"
	"testing"
)

// ROW-2, ROW-3, ROW-4, ROW-5, ROW-6, ROW-7, ROW-8, ROW-9, ROW-10 and ROW-11, by the examples of the page. ROW-1 is that of the pages:
// conformance/browser opens one of a pack that is not intact.
func TestTheRowsAreThoseOfThePage(t *testing.T) {
	out, err := exec.Command(findNode(t), "testdata/rows.mjs", "../../docs/spec/rows.md").CombinedOutput()
	if n := 0; err != nil || !counted(string(out), &n) || n < 9 {
		t.Errorf("%v:\n%s", err, out)
	}
}
