package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// processIdentity is the boot of the machine and the tick in it at which the process began; "" if there is none, or
// one that has ended and whose parent has not asked how. proc(5): "The fields … (2) comm … (3) state … (22) starttime".
func processIdentity(pid int) (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	// comm may hold anything, a parenthesis too.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat has %d fields after the name, want 20", pid, len(fields))
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return "", nil
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[19], nil
}

// processCommand is the effective user of a process and its command line, with a space between any two arguments; "" if
// it has ended. The owner of its files in /proc would be root: a server that holds a key is not dumpable.
func processCommand(pid int) (uid int, command string, err error) {
	proc := "/proc/" + strconv.Itoa(pid)
	status, err := os.ReadFile(proc + "/status")
	if err == nil {
		var line []byte
		line, err = os.ReadFile(proc + "/cmdline")
		command = strings.ReplaceAll(strings.TrimSuffix(string(line), "\x00"), "\x00", " ")
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, "", nil
	} else if err != nil {
		return 0, "", err
	}
	_, ids, _ := strings.Cut(string(status), "\nUid:") // real, effective, saved, of the file system
	fields := strings.Fields(ids)
	if len(fields) < 4 {
		return 0, "", fmt.Errorf("%s/status names no user", proc)
	}
	uid, err = strconv.Atoi(fields[1])
	return uid, command, err
}
