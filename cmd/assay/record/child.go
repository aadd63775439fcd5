package record

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/Haserjian/assay-ledger/cmd/assay/home"
	"github.com/Haserjian/assay-ledger/internal/cli"
)

// ending is how a program ended.
type ending struct {
	code     int      // of its exit; 128 + n if signal n ended it
	signal   string   // that ended it, such as "killed"; "" if none did
	passedOn []string // the first signals that reached us meanwhile
}

const maxPassedOn = 16 // signals that are named

// runChild runs the program in a process group of its own and returns how it ended. Signals that reach us are passed on, so that the program can
// finish and its receipts are packed all the same; how long it takes is between it and the sender.
func runChild(j *job, stdout io.Writer, args []string, signals <-chan os.Signal) (end ending, err error) {
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(home.WithoutKeys(os.Environ()), "ASSAY_TRACE_ID="+j.trace, "ASSAY_HOME="+string(j.home))
	c.Stdin, c.Stdout, c.Stderr = j.s.In, stdout, j.s.Err
	// A group in the background could not read from the terminal, which signals both of us anyway.
	grouped := !onTerminal(j.s.In)
	if grouped {
		cli.OwnGroup(c)
	}
	if err := c.Start(); err != nil {
		return end, startError(err)
	}
	done := make(chan error, 1)
	go func() { // ends with the program
		defer func() {
			if r := recover(); r != nil {
				done <- &cli.Error{Code: cli.ExitInternal, Err: fmt.Errorf("internal error: %v", r)}
			}
		}()
		done <- c.Wait()
	}()
	for {
		select {
		case err := <-done:
			if c.ProcessState == nil {
				return end, err
			}
			end.code, end.signal = exitCode(c.ProcessState)
			return end, nil // whatever else Wait says is about its streams
		case sig := <-signals:
			if len(end.passedOn) < maxPassedOn {
				end.passedOn = append(end.passedOn, sig.String())
			}
			passOn(c.Process, sig, grouped)
		}
	}
}

// catchSignals keeps signals from ending us until stop is called: not while the program runs, to
// which they are passed on, and not while its pack is made.
func catchSignals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	return c, func() { signal.Stop(c) }
}
