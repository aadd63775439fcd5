package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

type outcome int

const (
	survived outcome = iota
	killed
	timedOut     // a test that hangs has seen something, too
	doesNotBuild // says nothing
	unsure       // what failed or hung did so on the unchanged program, too, whenever it was asked
)

// A test that fails or hangs because the machine is busy has seen nothing. So what failed must fail again, once
// in three times, and the unchanged program must pass it as often right after, under the same load; what hung is
// believed if the unchanged tests then end in the same time. Else the mutant is run once more.
const (
	again  = 3
	rounds = 2
)

// runner runs tests of the tree under root, of which it changes nothing: the changed file reaches the
// compiler as an overlay.
type runner struct {
	root    string
	scratch string // a directory of ours

	unchanged map[string]string // the test program of each package, without a mutant
}

// judge runs the package's own tests on m, then those of its dependents.
func (r *runner) judge(ctx context.Context, m *mutant, dependents []string, limits map[string]time.Duration) (outcome, string, error) {
	path := filepath.Join(r.root, m.pkg, m.file)
	source, err := os.ReadFile(path)
	if err != nil {
		return 0, "", err
	}
	changed := filepath.Join(r.scratch, "mutant.go")
	mutated := bytes.Join([][]byte{source[:m.from], []byte(m.text), source[m.to:]}, nil)
	if err := os.WriteFile(changed, mutated, 0o600); err != nil {
		return 0, "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return 0, "", err
	}
	file := filepath.Join(r.scratch, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		return 0, "", err
	}
	worst := survived
	var unsteady []string
	for i, pkg := range append([]string{m.pkg}, dependents...) {
		if i > 0 && pkg == m.pkg {
			continue
		}
		var first []string
		if i == 0 {
			if first, err = near(filepath.Join(r.root, m.pkg), m.function); err != nil {
				return 0, "", err
			}
		}
		result, by, err := r.steady(ctx, pkg, file, limits[pkg], first)
		if err != nil || result != survived && result != unsure {
			return result, by, err
		}
		worst = max(worst, result)
		if by != "" {
			unsteady = append(unsteady, by)
		}
	}
	return worst, strings.Join(unsteady, " "), nil
}

// near lists the tests that name the changed function: they are the first to see it, most of the time.
func near(dir, function string) (tests []string, err error) {
	name := function[strings.LastIndex(function, ".")+1:]
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	calls := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, body := range strings.Split("\n"+string(text), "\nfunc ")[1:] {
			if test, _, ok := strings.Cut(body, "(t *testing.T)"); ok && strings.HasPrefix(test, "Test") && calls.MatchString(body) {
				tests = append(tests, test)
			}
		}
	}
	if len(tests) > 12 { // everybody calls it
		return nil, nil
	}
	return tests, nil
}

// steady runs the tests of one package on a mutant, some of them first. What fails and does not fail again is left out
// from then on; of a survivor it returns the names of those, of one that is unsure what it was.
func (r *runner) steady(ctx context.Context, pkg, overlay string, timeout time.Duration, first []string) (outcome, string, error) {
	program, text, err := r.build(ctx, "program", pkg, overlay)
	if err != nil || text != "" {
		return doesNotBuild, text, err
	}
	var unsteady []string
	for round := 1; ; {
		skip := "-test.skip=^(" + strings.Join(append(unsteady, "-"), "|") + ")$"
		result, by := survived, ""
		if len(first) > 0 {
			result, by, err = r.run(ctx, program, pkg, overlay, timeout, skip, "-test.run=^("+strings.Join(first, "|")+")$")
		}
		if err == nil && result == survived {
			result, by, err = r.run(ctx, program, pkg, overlay, timeout, skip)
		}
		if err != nil {
			return 0, "", err
		}
		if result == survived {
			return survived, strings.Join(unsteady, " "), nil
		}
		same := []string{skip} // all tests, where none has a name
		if only, _, _ := strings.Cut(by, "/"); strings.HasPrefix(only, "Test") {
			same = []string{"-test.run=^" + only + "$", fmt.Sprintf("-test.count=%d", again)}
			twice, _, err := r.run(ctx, program, pkg, overlay, timeout, same...)
			if err != nil {
				return 0, "", err
			}
			if twice == survived {
				unsteady = append(unsteady, only)
				continue
			}
			result = twice
		}
		unchanged, _, err := r.test(ctx, pkg, timeout, same...)
		switch {
		case err != nil:
			return 0, "", err
		case unchanged == survived:
			return result, by, nil
		case round == rounds:
			return unsure, by, nil
		}
		round++
	}
}

// test runs short tests of one unchanged package, whose program it builds once.
func (r *runner) test(ctx context.Context, pkg string, timeout time.Duration, more ...string) (outcome, string, error) {
	program, ok := r.unchanged[pkg]
	if !ok {
		var text string
		var err error
		if program, text, err = r.build(ctx, fmt.Sprintf("unchanged-%d", len(r.unchanged)), pkg, ""); err != nil || text != "" {
			return doesNotBuild, text, err
		}
		if r.unchanged == nil {
			r.unchanged = map[string]string{}
		}
		r.unchanged[pkg] = program
	}
	return r.run(ctx, program, pkg, "", timeout, more...)
}

// build makes the test program of one package, "" for a package without tests, or says why there is none.
func (r *runner) build(ctx context.Context, name, pkg, overlay string) (program, text string, err error) {
	program = filepath.Join(r.scratch, name+".test")
	if err := os.RemoveAll(program); err != nil {
		return "", "", err
	}
	text, err = r.output(ctx, r.root, overlay, "go", "test", "-c", "-vet=off", "-o", program, "./"+pkg)
	if _, failed := err.(*exec.ExitError); failed {
		return "", "[build failed] " + text, nil
	} else if err != nil {
		return "", "", err
	}
	if _, err := os.Stat(program); err != nil {
		return "", "", nil
	}
	return program, "", nil
}

// run runs the short tests of a program until the first one fails, whose name it returns.
func (r *runner) run(ctx context.Context, program, pkg, overlay string, timeout time.Duration, more ...string) (outcome, string, error) {
	if program == "" {
		return survived, "", nil
	}
	args := append([]string{"-test.short", "-test.failfast", fmt.Sprintf("-test.timeout=%s", timeout)}, more...)
	text, err := r.output(ctx, filepath.Join(r.root, pkg), overlay, program, args...)
	switch {
	case err == nil:
		return survived, "", nil
	case strings.Contains(text, "panic: test timed out"):
		return timedOut, "", nil
	}
	if _, ok := err.(*exec.ExitError); !ok {
		return 0, "", err
	}
	if _, failed, ok := strings.Cut(text, "--- FAIL: "); ok {
		name, _, _ := strings.Cut(failed, " ")
		return killed, name, nil
	}
	return killed, "a panic or an exit", nil
}

// output runs a command and returns what it says.
func (r *runner) output(ctx context.Context, dir, overlay, name string, args ...string) (string, error) {
	temp := filepath.Join(r.scratch, "tmp") // tests that are killed leave theirs behind
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	flags := os.Getenv("GOFLAGS")
	if overlay != "" { // in the environment, so that tests which build a program build this one
		flags = strings.TrimSpace(flags + " -overlay=" + overlay)
	}
	out, err := os.Create(filepath.Join(r.scratch, "output")) // not a pipe, which a process left behind would hold
	if err != nil {
		return "", err
	}
	defer out.Close()
	err = runAlone(ctx, func(cmd *exec.Cmd) {
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
		cmd.Env = append(os.Environ(), "GOFLAGS="+flags, "TMPDIR="+temp)
	}, name, args...)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	b, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		return "", readErr
	}
	return string(b), err
}
