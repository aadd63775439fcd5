package witness

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"
)

// whenSyncFails runs do on a thread of its own where every fsync is an I/O error, as on a failing disk.
func whenSyncFails(t *testing.T, do func()) {
	t.Helper()
	type instruction struct {
		code   uint16
		jt, jf uint8
		k      uint32
	}
	const (
		setNoNewPrivs, setSeccomp, filterMode = 38, 22, 2 // prctl
		load, ifEqual, answer                 = 0x20, 0x15, 0x06
		allow, fail                           = 0x7fff0000, 0x00050000
	)
	program := []instruction{
		{load, 0, 0, 0}, // the number of the system call
		{ifEqual, 0, 1, syscall.SYS_FSYNC},
		{answer, 0, 0, fail | uint32(syscall.EIO)},
		{answer, 0, 0, allow},
	}
	filter := struct {
		n       uint16
		program *instruction
	}{uint16(len(program)), &program[0]}
	ran, done := false, make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for ever: the thread ends with this goroutine
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
			return
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, setSeccomp, filterMode, uintptr(unsafe.Pointer(&filter))); errno != 0 {
			return
		}
		do()
		ran = true
	}()
	<-done
	if !ran {
		t.Skip("SKIPPED: no seccomp filters here")
	}
}

// A store whose name a power cut would take away is none: the witness would start again from size 0.
func TestAStoreWhoseNameIsNotOnDiskIsNotOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness.db")
	var err error
	whenSyncFails(t, func() { err = createFile(path) })
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("the directory could not be synced: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := createFile(path); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatDoesNotOpenLeavesNoFileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	execAt(t, path, "CREATE TABLE other (x)")
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("SKIPPED: ", err)
		}
		return len(list)
	}
	before := open()
	for range 10 {
		if s, err := OpenSQLite(path); err == nil {
			s.Close()
			t.Fatal("opened")
		}
	}
	if after := open(); after > before+5 {
		t.Errorf("%d files are open, %d were", after, before)
	}
}
