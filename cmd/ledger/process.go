package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
)

// A pid file holds the number of a process, the directory that the file is in, and what tells the process from any
// other that ever has that number:
//
//	4711 2049:131 b9a3f2de-5c0f-4a56-9f37-6d2b1f3f6f4e/190284
//
// A number alone would be somebody else's process after a crash and a while. The directory, as device and inode, stays
// the same when it is moved; a copy of it is another one, whose servers these are not.

// notePID writes the pid file of a process that has just begun. If we are killed before it is on disk,
// nobody knows of the process, and nothing ends it but its user.
func notePID(path string, pid int) error {
	directory, err := fileIdentity(filepath.Dir(path))
	if err != nil {
		return err
	}
	identity, err := processIdentity(pid)
	if err != nil {
		return fmt.Errorf("process %d cannot be told from others: %w", pid, err)
	}
	if identity == "" { // it has ended already, as one does whose port is taken
		return nil
	}
	return durable.WriteFile(path, fmt.Appendf(nil, "%d %s %s\n", pid, directory, identity), 0o600)
}

// fileIdentity is the device and the inode of what stands at path.
func fileIdentity(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino), nil
}

// notedProcess is the process of a pid file, nil if that has ended, or there is no file, or one of another directory.
// Anybody can have written a pid file: what its process runs is asked by who would signal it.
type notedProcess struct {
	process  *os.Process
	identity string
}

func readPID(path string) (*notedProcess, error) {
	f, err := durable.OpenItself(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if none, ok := errors.AsType[*durable.NotRegular](err); ok {
		return nil, cli.BadInput("", "%v", none)
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	if err != nil {
		return nil, err
	}
	number, rest, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ")
	noted, identity, _ := strings.Cut(rest, " ")
	pid, err := strconv.Atoi(number)
	if err != nil || pid < 2 || identity == "" {
		return nil, cli.BadInput("take it away after you have looked for the process", "%s is no pid file: want PID, DIRECTORY and IDENTITY", path)
	}
	if directory, err := fileIdentity(filepath.Dir(path)); err != nil || directory != noted {
		return nil, err
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
