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
