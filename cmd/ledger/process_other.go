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
