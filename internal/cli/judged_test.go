//go:build unix

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

func TestAFullDiskIsUnavailableAndAnUnreadableFileIsNot(t *testing.T) {
	path := func(op string, err error) error {
		return fmt.Errorf("doing it: %w", &fs.PathError{Op: op, Path: "x", Err: err})
	}
	for err, want := range map[error]int{
		path("write", syscall.ENOSPC):                                  ExitUnavailable,
		path("sync", syscall.EIO):                                      ExitUnavailable,
		path("open", syscall.EROFS):                                    ExitUnavailable,
		path("mkdir", syscall.EDQUOT):                                  ExitUnavailable,
		path("write", syscall.EFBIG):                                   ExitUnavailable,
		&os.LinkError{Op: "rename", Err: syscall.EIO}:                  ExitUnavailable,
		BadInput("name another", "%w", path("", syscall.ENOSPC)):       ExitUnavailable,
		path("read", syscall.EIO):                                      ExitBadInput,
		path("open", syscall.EIO):                                      ExitBadInput,
		path("open", syscall.EACCES):                                   ExitBadInput,
		path("open", syscall.ENOENT):                                   ExitBadInput,
		errors.New("no space left on device"):                          ExitBadInput, // words are not believed
		&Error{Code: ExitTampered, Err: path("write", syscall.ENOSPC)}: ExitTampered,
		&Error{Code: 127, Err: path("write", syscall.ENOSPC)}:          127,
	} {
		if got := exitCodeOf(err); got != want {
			t.Errorf("%v: exit %d, want %d", err, got, want)
		}
	}
}

func TestTheGraverOfAVerdictAndAFailedWriteIsTheAnswer(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
	for _, c := range []struct {
		verdict int
		err     error
		want    int
	}{
		{ExitPass, nil, ExitPass}, {ExitHonestFail, nil, ExitHonestFail}, {ExitTampered, nil, ExitTampered},
		{ExitPass, full, ExitUnavailable}, {ExitHonestFail, full, ExitUnavailable}, {ExitTampered, full, ExitTampered},
		{ExitBadInput, full, ExitBadInput}, {ExitInternal, full, ExitInternal}, {ExitTampered, BadInput("", "x"), ExitTampered},
	} {
		err := Judged(c.verdict, c.err)
		var verdict Verdict
		got := ExitPass
		switch {
		case errors.As(err, &verdict):
			got = int(verdict)
		case err != nil:
			got = exitCodeOf(err)
		}
		if got != c.want {
			t.Errorf("%d and %v: exit %d, want %d", c.verdict, c.err, got, c.want)
		}
	}
}
