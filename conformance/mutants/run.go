package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
func (r *runner) judge(ctx context.Context, m *mutant, dependents []string, timeout time.Duration) (outcome, string, error) {
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
	for i, pkg := range append([]string{m.pkg}, dependents...) {
		if i > 0 && pkg == m.pkg {
			continue
		}
		result, by, err := r.steady(ctx, pkg, file, timeout)
		if err != nil || result != survived {
			return result, by, err
		}
	}
	return survived, "", nil
}

// steady runs the tests of one package on a mutant, and again what may have failed without it.
func (r *runner) steady(ctx context.Context, pkg, overlay string, timeout time.Duration) (outcome, string, error) {
	result, by, err := r.test(ctx, pkg, overlay, timeout)
	if err != nil {
		return 0, "", err
	}
	switch {
	case result == killed && strings.HasPrefix(by, "Test"):
		only, _, _ := strings.Cut(by, "/")
		if twice, _, err := r.test(ctx, pkg, overlay, timeout, "-run", "^"+only+"$", fmt.Sprintf("-count=%d", again)); err != nil || twice == survived {
			return survived, "", err
		}
	case result == timedOut:
		began := time.Now()
		unchanged, _, err := r.test(ctx, pkg, "", timeout)
		if err != nil {
			return 0, "", err
		}
		if unchanged != survived || time.Since(began) > timeout/2 {
			return r.test(ctx, pkg, overlay, 4*timeout)
		}
	}
	return result, by, nil
}

// test runs the short tests of one package until the first one fails, whose name it returns.
func (r *runner) test(ctx context.Context, pkg, overlay string, timeout time.Duration, more ...string) (outcome, string, error) {
	temp := filepath.Join(r.scratch, "tmp") // tests that are killed leave theirs behind
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return 0, "", err
	}
	defer os.RemoveAll(temp)
	args := []string{"test", "-vet=off", "-short", "-failfast", "-count=1", fmt.Sprintf("-timeout=%s", timeout)}
	args = append(append(args, more...), "./"+pkg)
	flags := os.Getenv("GOFLAGS")
	if overlay != "" { // in the environment, so that tests which build a program build this one
		flags = strings.TrimSpace(flags + " -overlay=" + overlay)
	}
	out, err := os.Create(filepath.Join(r.scratch, "output")) // not a pipe, which a process left behind would hold
	if err != nil {
		return 0, "", err
	}
	defer out.Close()
	err = runAlone(ctx, func(cmd *exec.Cmd) {
		cmd.Dir, cmd.Stdout, cmd.Stderr = r.root, out, out
		cmd.Env = append(os.Environ(), "GOFLAGS="+flags, "TMPDIR="+temp)
	}, "go", args...)
	if ctx.Err() != nil {
		return 0, "", ctx.Err()
	}
	b, readErr := os.ReadFile(out.Name())
	if readErr != nil {
		return 0, "", readErr
	}
	text := string(b)
	switch {
	case err == nil:
		return survived, "", nil
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return doesNotBuild, text, nil
	case strings.Contains(text, "panic: test timed out"):
		return timedOut, "", nil
	}
	if _, failed, ok := strings.Cut(text, "--- FAIL: "); ok {
		name, _, _ := strings.Cut(failed, " ")
		return killed, name, nil
	}
	if _, ok := err.(*exec.ExitError); !ok {
		return 0, "", err
	}
	return killed, "a panic or an exit", nil
}
