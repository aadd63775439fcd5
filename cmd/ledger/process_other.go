//go:build !linux

package main

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
)

// processIdentity is when the process began and what it runs; "" if there is none, or one that has ended and
// whose parent has not asked how.
func processIdentity(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=,command=", "-p", strconv.Itoa(pid)).Output()
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		return "", nil // there is none
	} else if err != nil {
		return "", err
	}
	fields := strings.Fields(string(out))
	if len(fields) < 2 || strings.HasPrefix(fields[0], "Z") {
		return "", nil
	}
	return strings.Join(fields[1:], " "), nil
}

// processCommand is the effective user of a process and its command line, with a space between any two arguments; "" if
// it has ended.
func processCommand(pid int) (uid int, command string, err error) {
	out, err := exec.Command("ps", "-ww", "-o", "uid=,command=", "-p", strconv.Itoa(pid)).Output()
	var exited *exec.ExitError
	if errors.As(err, &exited) {
		return 0, "", nil
	} else if err != nil {
		return 0, "", err
	}
	user, command, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	uid, err = strconv.Atoi(user)
	return uid, strings.TrimSpace(command), err
}
