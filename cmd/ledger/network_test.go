package main

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The key of whoever tries things out would sign the sample, and lie in the memory of the servers.
func TestNoServerAndNoSampleGetsTheUsersKey(t *testing.T) {
	t.Setenv("ASSAY_SIGNING_KEY", "a secret")
	t.Setenv("ASSAY_MODE", "x")
	t.Setenv("ASSAY_HOME", "/mine")
	t.Setenv("ASSAYER", "kept")
	n := &network{dir: t.TempDir(), assay: "/bin/assay"}
	out, err := n.program(t.Context(), 0, fakeAssay(t, "env"), "x")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "ASSAY") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	slices.Sort(got)
	if want := []string{"ASSAY=/bin/assay", "ASSAYER=kept", "ASSAY_HOME=" + n.path("home")}; !slices.Equal(got, want) {
		t.Errorf("a program gets %q, want %q", got, want)
	}
	for _, n.background = range []bool{false, true} {
		env := n.command(t.Context()).Env
		if !slices.Contains(env, "ASSAYER=kept") || slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "ASSAY_") }) {
			t.Errorf("a server gets %q", env)
		}
	}
}

// ^C reaches this process alone: what a program has started would hold its stdout, and go on.
func TestAnInterruptedProgramEndsWithAllItStarted(t *testing.T) {
	n := &network{dir: t.TempDir()}
	fifo := filepath.Join(n.dir, "started")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := n.program(ctx, 0, fakeAssay(t, "sleep 600 & echo $! >started; wait"), "x")
		ended <- err
	}()
	f, err := os.Open(fifo) // waits for the writer
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	cancel()
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if identity, err := processIdentity(pid); err != nil || time.Now().After(deadline) {
			t.Fatalf("what it started goes on: %q, %v", identity, err)
		} else if identity == "" {
			return
		}
	}
}
