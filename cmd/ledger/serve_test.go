package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/trust"
)

// What an operator does to a ledger that is in use: each step leaves it running.
// STO-12
func TestOperatingALedger(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five servers")
	}
	d := programs(t)
	ctx := t.Context() // of the servers, which outlive the subtests
	if err := d.startServers(ctx); err != nil {
		t.Fatal(err)
	}
	restarted := func(t *testing.T, deed func()) {
		t.Helper()
		if err := d.stop("ledger"); err != nil {
			t.Fatal(err)
		}
		deed()
		if err := d.start(ctx, "ledger"); err != nil {
			t.Fatal(err)
		}
	}
	first := submit(t, d, 1)
	ledgerDir := d.path("ledger")

	t.Run("a second serve of the same directory is refused", func(t *testing.T) {
		refused(t, d, "another process has the log", "serve", ledgerDir, "--listen", "127.0.0.1:0")
	})
	t.Run("an address in use is refused", func(t *testing.T) {
		for _, args := range [][]string{
			{"witness", "serve", d.path("w1"), "--listen", d.servers["tsa"].address},
			{"tsa", "serve", d.path("tsa"), "--listen", d.servers["tsa"].address},
		} {
			refused(t, d, "choose another with --listen", args...)
		}
	})
	t.Run("a deleted index is derived again", func(t *testing.T) {
		restarted(t, func() {
			if err := os.RemoveAll(ledgerHome(ledgerDir).index()); err != nil {
				t.Fatal(err)
			}
		})
		if again := submit(t, d, 1); again != first {
			t.Errorf("the manifest was entry %d, with a new index it is entry %d", first, again)
		}
	})
	t.Run("an older copy with an older guard is refused by what the witnesses saw", func(t *testing.T) {
		older := d.path("older")
		restarted(t, func() {
			for from, to := range map[string]string{ledgerDir: older, ledgerDir + ".guard": older + ".guard"} {
				if err := os.CopyFS(to, os.DirFS(from)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(ledgerHome(older).key(), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := replaceIn(ledgerHome(older).config(), `"../ledger.guard"`, `"../older.guard"`); err != nil {
				t.Fatal(err)
			}
		})
		submit(t, d, 2)
		restarted(t, func() { // so that the late witness has it too
			refusedWith(t, d, cli.ExitTampered, "it was rolled back", "serve", older, "--listen", "127.0.0.1:0")
			if err := replaceIn(ledgerHome(older).config(), `"../older.guard"`, `"../ledger.guard"`); err != nil {
				t.Fatal(err)
			}
			refusedWith(t, d, cli.ExitTampered, "has been signed", "serve", older, "--listen", "127.0.0.1:0") // and by the guard that is not older
		})
		if err := os.RemoveAll(older); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("the jobs of site/publish publish its site", func(t *testing.T) { publishAsTheJobsDo(t, d) })
	t.Run("a dead timestamp authority is told by readyz, and asked again until it answers", func(t *testing.T) {
		if err := d.stop("tsa"); err != nil {
			t.Fatal(err)
		}
		if status, body, err := d.send(ctx, d.url("ledger")+"/v1/entries", "application/json", testManifest(t, 3)); err != nil || status != 503 || !strings.Contains(string(body), "timestamp-unavailable") {
			t.Errorf("an entry: status %d, %v: %s", status, err, body)
		}
		if status, body := readyz(t, d); status != 503 || !strings.Contains(body, "No timestamp authority answers, and every entry needs a timestamp.") || strings.Contains(body, d.servers["tsa"].address) {
			t.Errorf("readyz: %d %s", status, body)
		}
		if err := d.start(ctx, "tsa"); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			status, body := readyz(t, d)
			if status == 200 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("readyz: %d %s", status, body)
			}
		}
		submit(t, d, 3)
	})
	t.Run("a server whose port is somebody else's is started again until it is free", func(t *testing.T) {
		if err := d.stop("tsa"); err != nil {
			t.Fatal(err)
		}
		other, err := net.Listen("tcp", d.servers["tsa"].address)
		if err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(d.path("tsa.log"))
		if err != nil {
			t.Fatal(err)
		}
		tried := make(chan bool, 1)
		go func() {
			defer other.Close()
			for deadline := time.Now().Add(portPatience / 2); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				if text, err := os.ReadFile(d.path("tsa.log")); err == nil && bytes.Contains(text[len(before):], []byte(syscall.EADDRINUSE.Error())) {
					tried <- true
					return
				}
			}
			tried <- false
		}()
		if err := d.start(ctx, "tsa"); err != nil || !<-tried {
			t.Fatalf("while the port was taken: %v", err)
		}
	})
	t.Run("SIGTERM while it starts ends it with 0", func(t *testing.T) {
		if err := d.stop("ledger"); err != nil {
			t.Fatal(err)
		}
		// A witness that accepts and never answers holds the start for some seconds.
		if err := d.stop("w1"); err != nil {
			t.Fatal(err)
		}
		silent, err := net.Listen("tcp", d.servers["w1"].address)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		c := exec.CommandContext(t.Context(), d.self, "serve", ledgerDir, "--listen", "127.0.0.1:0")
		var out bytes.Buffer
		c.Stdout, c.Stderr = &out, &out
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		asked, err := silent.Accept() // it is starting
		if err != nil {
			t.Fatal(err)
		}
		defer asked.Close()
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil || strings.Contains(out.String(), "listening") {
			t.Errorf("it ended with %v: %s", err, out.String())
		}
	})
}

// publishAsTheJobsDo runs what the jobs do with the program; twice, as they find the site of the last run again.
func publishAsTheJobsDo(t *testing.T, d *demo) {
	step := regexp.MustCompile(`(?m)^ +- (?:run: )?(ledger .*)$`)
	for job, folder := range map[string]string{"github-pages.yml": "ledger-site", "gitlab-pages.yml": "public"} {
		text, err := os.ReadFile(filepath.Join("../../site/publish", job))
		if err != nil {
			t.Fatal(err)
		}
		steps := step.FindAllSubmatch(text, -1)
		if len(steps) != 2 || !strings.Contains(string(text), "path: "+folder+"\n") && !strings.Contains(string(text), "- "+folder+"\n") {
			t.Fatalf("%s has %d steps with the program, wants a build and a check of the folder %s", job, len(steps), folder)
		}
		policy, err := os.ReadFile(ledgerHome(d.path("ledger")).policy())
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "ledger.policy"), policy, 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, s := range steps {
				c := exec.CommandContext(t.Context(), "sh", "-e", "-c", string(s[1]))
				c.Dir, c.Env = dir, append(os.Environ(), "PATH="+built+string(os.PathListSeparator)+os.Getenv("PATH"), "LEDGER="+d.url("ledger"))
				if out, err := c.CombinedOutput(); err != nil {
					t.Fatalf("%s: %s: %v\n%s", job, s[1], err, out)
				}
			}
		}
		for _, name := range []string{"index.html", "checkpoint", "verify.html"} {
			if info, err := os.Stat(filepath.Join(dir, folder, name)); err != nil || info.Size() == 0 {
				t.Errorf("%s published no %s: %v", job, name, err)
			}
		}
		// What people compare by its hash is the same, whoever made it.
		of := filepath.Join(dir, "verify.html")
		if out, err := exec.CommandContext(t.Context(), filepath.Join(built, "assay"), "page", "-o", of).CombinedOutput(); err != nil {
			t.Fatalf("assay page: %v: %s", err, out)
		}
		mine, err := os.ReadFile(of)
		if err != nil {
			t.Fatal(err)
		}
		if theirs, err := os.ReadFile(filepath.Join(dir, folder, "verify.html")); err != nil || !bytes.Equal(mine, theirs) {
			t.Errorf("the verify.html of the site is not the one of assay page (%v)", err)
		}
	}
}

func readyz(t *testing.T, d *demo) (status int, body string) {
	t.Helper()
	answer, err := http.Get(d.url("ledger") + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// submit logs a manifest and returns its index.
func submit(t *testing.T, d *demo, n int) int64 {
	t.Helper()
	status, body, err := d.send(t.Context(), d.url("ledger")+"/v1/entries", "application/json", testManifest(t, n))
	if err != nil || status != http.StatusCreated && status != http.StatusOK {
		t.Fatalf("manifest %d: status %d, %v: %s", n, status, err, body)
	}
	proof, err := trust.ParseProof(body)
	if err != nil {
		t.Fatal(err)
	}
	return proof.Index
}

// refused runs a server that must not start: exit 3, one sentence, nothing on stdout.
func refused(t *testing.T, d *demo, want string, args ...string) {
	t.Helper()
	refusedWith(t, d, cli.ExitBadInput, want, args...)
}

func refusedWith(t *testing.T, d *demo, exit int, want string, args ...string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), d.self, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	_ = c.Run()
	if code := c.ProcessState.ExitCode(); code != exit || stdout.Len() > 0 || !strings.Contains(stderr.String(), want) {
		t.Errorf("%s: exit %d, want %d and %q on stderr alone:\n%s%s", strings.Join(args, " "), code, exit, want, &stdout, &stderr)
	}
}

// The demo as a user runs it: whatever ends it, no server and no file stays behind.
func TestADemoLeavesNothingBehind(t *testing.T) {
	if testing.Short() {
		t.Skip("starts five servers, four times")
	}
	built := programs(t)

	t.Run("interrupted while it serves", func(t *testing.T) {
		c, temp, servers := serving(t, built)
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("^C of demo --serve: %v", err)
		}
		allEnd(t, servers)
		wantEmpty(t, temp)
	})
	t.Run("killed while it serves", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("only Linux ends children with their parent")
		}
		c, _, servers := serving(t, built)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		allEnd(t, servers)
	})
	t.Run("with an assay that does nothing", func(t *testing.T) {
		c, temp := built.asProgram(t, "--assay", fakeAssay(t, "exit 0"))
		var stderr bytes.Buffer
		c.Stderr = &stderr
		_ = c.Run() // returns when every holder of stderr has ended; the servers have logs of their own
		if code := c.ProcessState.ExitCode(); code != 70 || !strings.Contains(stderr.String(), "demo step 2") {
			t.Errorf("exit %d: %s", code, &stderr)
		}
		wantEmpty(t, temp)
	})
	t.Run("with no assay", func(t *testing.T) {
		c, temp := built.asProgram(t, "--assay", filepath.Join(t.TempDir(), "none"))
		_ = c.Run()
		if code := c.ProcessState.ExitCode(); code != 3 {
			t.Errorf("exit %d, want 3", code)
		}
		wantEmpty(t, temp)
	})
}

func fakeAssay(t *testing.T, script string) string {
	path := filepath.Join(t.TempDir(), "assay")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// asProgram is 'ledger demo' with a temporary directory of its own.
func (d *demo) asProgram(t *testing.T, args ...string) (c *exec.Cmd, temp string) {
	temp = t.TempDir()
	c = exec.CommandContext(t.Context(), d.self, append([]string{"demo"}, args...)...)
	c.Env = append(os.Environ(), "TMPDIR="+temp)
	return c, temp
}

// serving starts 'ledger demo --serve' and returns when it serves, with a connection to each
// server that ends when the server does.
func serving(t *testing.T, d *demo) (c *exec.Cmd, temp string, servers map[string]net.Conn) {
	t.Helper()
	c, temp = d.asProgram(t, "--serve", "--assay", d.assay)
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	servers = map[string]net.Conn{}
	var text strings.Builder
	for chunk := make([]byte, 4096); !strings.Contains(text.String(), "verify-pack PACK"); {
		n, err := stdout.Read(chunk)
		if err != nil {
			t.Fatalf("%v after:\n%s", err, text.String())
		}
		text.Write(chunk[:n])
	}
	_, list, _ := strings.Cut(text.String(), "serving until ^C:")
	for line := range strings.Lines(list) {
		if name, address, ok := strings.Cut(strings.TrimSpace(line), " http://"); ok && !strings.Contains(name, "assay") {
			servers[strings.TrimSpace(name)] = idle(t, strings.TrimSpace(address))
		}
	}
	if len(servers) != 5 {
		t.Fatalf("%d servers, not 5:\n%s", len(servers), text.String())
	}
	return c, temp, servers
}

// idle is a connection over which a request was answered: a server that ends closes it at once.
func idle(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", address)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Fatal(err)
	}
	return conn
}

// allEnd waits until every server has closed its connection, and fails after a while.
func allEnd(t *testing.T, servers map[string]net.Conn) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for name, conn := range servers {
		if err := conn.SetReadDeadline(deadline); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s outlives the demo", name)
		}
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("%s is left behind", f.Name())
	}
}

func TestAPlainListenerBeyondLoopbackIsTold(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:80": false, "127.8.8.8:80": false, "[::1]:80": false, "0.0.0.0:80": true, "[::]:80": true, "192.0.2.1:80": true} {
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if beyondLoopback(a) != want {
			t.Errorf("%s: expected %v", address, want)
		}
	}
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // it listens, and ends
	err := listenAndServe(ctx, cli.Streams{Out: io.Discard}, "0.0.0.0:0", nil, slog.New(slog.NewTextHandler(&log, nil)), serve.Limits{})
	if err != nil || !strings.Contains(log.String(), "plain HTTP") {
		t.Errorf("%v, %s", err, &log)
	}
}
