package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
)

// A pid file holds the number of a process and what tells it from any other that ever has that number:
//
//	4711 b9a3f2de-5c0f-4a56-9f37-6d2b1f3f6f4e/190284
//
// A number alone would be somebody else's process after a crash and a while.

// notePID writes the pid file of a process that has just begun. If we are killed before it is on disk,
// nobody knows of the process; its port and its files are taken, which the next start says.
func notePID(path string, pid int) error {
	identity, err := processIdentity(pid)
	if err != nil {
		return fmt.Errorf("process %d cannot be told from others: %w", pid, err)
	}
	if identity == "" { // it has ended already, as one does whose port is taken
		return nil
	}
	return durable.WriteFile(path, fmt.Appendf(nil, "%d %s\n", pid, identity), 0o600)
}

// notedProcess is the process of a pid file, nil if that has ended or there is no file.
type notedProcess struct {
	process  *os.Process
	identity string
}

func readPID(path string) (*notedProcess, error) {
	text, err := cli.ReadFile(path, 4<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	number, identity, ok := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	pid, err := strconv.Atoi(number)
	if !ok || err != nil || pid < 2 || identity == "" {
		return nil, cli.BadInput("take it away after you have looked for the process", "%s is no pid file: want PID and IDENTITY", path)
	}
	// The handle first: whose identity is looked up after it is the process that a signal reaches.
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, nil
	}
	p := &notedProcess{process, identity}
	if alive, err := p.alive(); !alive {
		return nil, err
	}
	return p, nil
}

// alive: the process is still that of the pid file.
func (p *notedProcess) alive() (bool, error) {
	identity, err := processIdentity(p.process.Pid)
	return identity == p.identity, err
}

// end tells the process to end, kills it if it takes its time, and waits until it is gone. It is not our child, so there
// is nothing to wait on: we look until the number is nobody's or somebody else's.
func (p *notedProcess) end(patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for sig := syscall.SIGTERM; ; {
		if err := p.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("ending process %d: %w", p.process.Pid, err)
		}
		for ; ; time.Sleep(10 * time.Millisecond) {
			alive, err := p.alive()
			if err != nil || !alive {
				return err
			}
			if time.Now().After(deadline) {
				break
			}
		}
		if sig == syscall.SIGKILL {
			return fmt.Errorf("process %d does not end", p.process.Pid)
		}
		sig, deadline = syscall.SIGKILL, time.Now().Add(patience)
	}
}
