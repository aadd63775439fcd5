// Package clitest runs the programs of cmd in testscript files (as net/http/httptest is for http).
package clitest

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// Scripts runs testdata/script/*.txtar. Besides the usual commands a script has
//
//	exits CODE PROGRAM [ARG...]
//
// which fails unless the program ends with exactly that exit code, and unless the command's help page lists
// that code; stdout and stderr can be matched afterwards.
func Scripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	checkHelp(ts, want, args[1:])
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited):
		got = exited.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("%s exited with %d, expected %d", args[1], got, want)
	}
}

// checkHelp fails unless the help page of the command lists the exit code. What is no command has no help page;
// a command that runs a program ends with its codes as well.
func checkHelp(ts *testscript.TestScript, code int, args []string) {
	if slices.Contains(args, "--") {
		return
	}
	words := slices.DeleteFunc(slices.Clone(args[1:]), func(word string) bool { return strings.HasPrefix(word, "-") })
	if ts.Exec(args[0], append(words, "--help")...) != nil {
		return
	}
	_, table, found := strings.Cut(ts.ReadFile("stdout"), "\nExit codes:\n")
	if found && !regexp.MustCompile(fmt.Sprintf(`(?m)^  %d `, code)).MatchString(table) {
		ts.Fatalf("%q: exit code %d is not on the help page", args, code)
	}
}
