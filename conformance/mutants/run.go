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
)

// A test that fails or hangs because the machine is busy has seen nothing. So what failed must fail again, once
// in three times; and what hung is believed if the unchanged tests then need less than half of its time.
const again = 3

// runner runs tests of the tree under root, of which it changes nothing: the changed file reaches the
// compiler as an overlay.
type runner struct {
	root    string
	scratch string // a directory of ours
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
		if err != nil || result != survived {
			return result, by, err
		}
		if by != "" {
			unsteady = append(unsteady, by)
		}
	}
	return survived, strings.Join(unsteady, " "), nil
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
// from then on; of a survivor it returns the names of those.
func (r *runner) steady(ctx context.Context, pkg, overlay string, timeout time.Duration, first []string) (outcome, string, error) {
	program, text, err := r.build(ctx, pkg, overlay)
	if err != nil || text != "" {
		return doesNotBuild, text, err
	}
	var unsteady []string
	for {
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
		switch {
		case result == timedOut:
			return r.hung(ctx, pkg, overlay, timeout)
		case result == survived:
			return survived, strings.Join(unsteady, " "), nil
		case !strings.HasPrefix(by, "Test"):
			return result, by, nil
		}
		only, _, _ := strings.Cut(by, "/")
		twice, _, err := r.run(ctx, program, pkg, overlay, timeout, "-test.run=^"+only+"$", fmt.Sprintf("-test.count=%d", again))
		if err != nil || twice != survived {
			return twice, by, err
		}
		unsteady = append(unsteady, only)
	}
}

// hung judges a mutant whose tests did not end.
func (r *runner) hung(ctx context.Context, pkg, overlay string, timeout time.Duration) (outcome, string, error) {
	began := time.Now()
	unchanged, _, err := r.test(ctx, pkg, timeout)
	if err != nil || unchanged == survived && time.Since(began) < timeout/2 {
		return timedOut, "", err
	}
	program, _, err := r.build(ctx, pkg, overlay)
	if err != nil {
		return 0, "", err
	}
	return r.run(ctx, program, pkg, overlay, 4*timeout)
}

// test runs the short tests of one unchanged package.
func (r *runner) test(ctx context.Context, pkg string, timeout time.Duration) (outcome, string, error) {
	program, text, err := r.build(ctx, pkg, "")
	if err != nil || text != "" {
		return doesNotBuild, text, err
	}
	return r.run(ctx, program, pkg, "", timeout)
}

// build makes the test program of one package, "" for a package without tests, or says why there is none.
func (r *runner) build(ctx context.Context, pkg, overlay string) (program, text string, err error) {
	program = filepath.Join(r.scratch, "program.test")
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
