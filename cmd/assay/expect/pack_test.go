package expect

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
)

func TestAFileThatCannotBeReadIsNamedWithTheNextStep(t *testing.T) {
	for errno, hint := range map[syscall.Errno]string{
		syscall.EACCES: "chmod +r", syscall.EPERM: "chmod +r", syscall.EMFILE: "ulimit -n", syscall.ENFILE: "ulimit -n",
		syscall.EIO: "another copy", syscall.ESTALE: "another copy",
	} {
		err := notJudged(nil, "d/p", &pack.ReadError{Name: "pack_manifest.json", Err: errno})
		var told *cli.Error
		if !errors.As(err, &told) || told.Code != cli.ExitBadInput || !strings.HasPrefix(told.Error(), "d/p/pack_manifest.json: ") ||
			!strings.HasPrefix(told.Hint, "nothing was judged: ") || !strings.Contains(told.Hint, hint) {
			t.Errorf("%s: %v", errno, err)
		}
	}
}
