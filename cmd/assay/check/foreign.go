package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/conformance"
	"github.com/Haserjian/assay-ledger/internal/cli"
)

const maxAnswer = 4 << 20 // bytes of another verifier's output that are kept

// foreign judges by another program.
func foreign(words []string, timeout time.Duration) conformance.Judge {
	return func(ctx context.Context, pack string, args []string) (conformance.Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		var argv []string
		packed, flagged := false, false
		for _, word := range words {
			if word == "{args}" {
				argv, flagged = append(argv, args...), true
				continue
			}
			packed = packed || strings.Contains(word, "{pack}")
			argv = append(argv, strings.ReplaceAll(word, "{pack}", pack))
		}
		if !packed {
			argv = append(argv, pack)
		}
		if !flagged {
			argv = append(argv, args...)
		}
		program := exec.CommandContext(ctx, argv[0], argv[1:]...)
		program.Env = home.WithoutKeys(os.Environ())
		var out limited
		program.Stdout, program.WaitDelay = &out, time.Second
		// A group of its own, so that what the program started ends with it, in time or not.
		cli.OwnGroup(program)
		program.Cancel = func() error { return cli.EndGroup(program.Process) }
		err := program.Run()
		if program.Process != nil {
			_ = cli.EndGroup(program.Process) // mostly there is nobody left; an orphan keeps its group's number
		}
		answer := conformance.Answer{Exit: program.ProcessState.ExitCode(), Output: out.kept}
		var exited *exec.ExitError
		switch {
		case ctx.Err() != nil:
			return answer, fmt.Errorf("no answer in %s", timeout)
		case errors.Is(err, exec.ErrWaitDelay): // it ended, and somebody held its output open
			return answer, nil
		case errors.As(err, &exited) && exited.Exited():
			return answer, nil
		}
		return answer, err
	}
}

// limited keeps the first bytes that are written to it.
type limited struct{ kept []byte }

func (l *limited) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p[:min(len(p), maxAnswer-len(l.kept))]...)
	return len(p), nil
}
