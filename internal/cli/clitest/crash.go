//go:build unix

package clitest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Crash runs a program of the PATH (those that testscript.Main was given are there) in a directory of its own, with no limit on core files. It gets SIGQUIT as soon as
// it prints a line with ready in it; if ready is empty it must crash by itself. Crash fails the test if a
// core file is left, or if what it prints of its goroutines shows a key. It skips where no program leaves a core file.
func Crash(t *testing.T, ready string, keys [][]byte, env []string, program ...string) {
	t.Helper()
	if dumped, _ := crash(t, "", exec.Command("/bin/sh", "-c", "kill -QUIT $$")); !dumped {
		t.Skip("SKIPPED: no program leaves a core file here")
	}
	c := exec.Command(program[0], program[1:]...)
	c.Env = append(os.Environ(), env...)
	dumped, said := crash(t, ready, c)
	if dumped {
		t.Errorf("%v left a core file", program)
	}
	if !strings.Contains(said, "goroutine ") {
		t.Errorf("%v ended without telling of its goroutines: %s", program, said)
	}
	for _, key := range keys {
		if form := shown(said, key); form != "" {
			t.Errorf("%v printed a key as %s", program, form)
		}
	}
}

// crash runs a program until a signal ends it, and says whether it left a core file and what it said on stderr.
func crash(t *testing.T, ready string, c *exec.Cmd) (dumped bool, said string) {
	t.Helper()
	c.Dir = t.TempDir()
	c.Args = append([]string{"sh", "-c", `ulimit -c unlimited && exec "$@"`, "sh", c.Path}, c.Args[1:]...)
	c.Path = "/bin/sh"
	var stderr bytes.Buffer
	c.Stderr = &stderr
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if ready != "" && strings.Contains(lines.Text(), ready) {
			_ = c.Process.Signal(syscall.SIGQUIT)
		}
	}
	_ = c.Wait()
	status, ok := c.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		t.Fatalf("%v did not end by a signal: %v: %s", c.Args, c.ProcessState, &stderr)
	}
	files, err := filepath.Glob(filepath.Join(c.Dir, "*core*"))
	if err != nil {
		t.Fatal(err)
	}
	return status.CoreDump() || len(files) > 0, stderr.String()
}

// hexList is how Go shows an array among the arguments of a goroutine's functions.
func hexList(part []byte) string {
	list := make([]string, len(part))
	for i, b := range part {
		list[i] = fmt.Sprintf("%#x", b)
	}
	return strings.Join(list, ", ")
}

// shown says how text shows 8 bytes of the key in a row, "" if it does not.
func shown(text string, key []byte) string {
	forms := map[string]func(part []byte) string{
		"bytes":       func(part []byte) string { return string(part) },
		"hex":         hex.EncodeToString,
		"a list":      func(part []byte) string { return strings.Trim(fmt.Sprint(part), "[]") },
		"a hex list":  hexList,
		"a word":      func(part []byte) string { return fmt.Sprintf("0x%x", binary.LittleEndian.Uint64(part)) },
		"a big word":  func(part []byte) string { return fmt.Sprintf("0x%x", binary.BigEndian.Uint64(part)) },
		"base64":      func(part []byte) string { return base64.StdEncoding.EncodeToString(part[:6]) },
		"text of key": func(part []byte) string { return base64.StdEncoding.EncodeToString(key) },
	}
	for i := 0; i+8 <= len(key); i++ {
		for form, write := range forms {
			if strings.Contains(text, write(key[i:i+8])) {
				return form
			}
		}
	}
	return ""
}
