package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/keystore"
)

// signingHelper is a program that keeps a key; its argument says how well.
func signingHelper() {
	how := os.Args[1]
	key, err := keystore.NewKey("hsm", bytes.Repeat([]byte{7}, 32))
	if err != nil {
		panic(err)
	}
	text, _ := io.ReadAll(os.Stdin)
	request, err := jcs.Parse(text, jcs.Limits{Bytes: 2 << 20})
	if err != nil {
		panic(err)
	}
	op, _ := request.Get("op")
	switch {
	case how == "exit":
		fmt.Fprintln(os.Stderr, "no card\x1b[31m")
		os.Exit(9)
	case how == "garbage":
		fmt.Println("VERDICT: PASS")
	case op.Text == "public":
		fmt.Printf("{\"id\":\"hsm\",\"public_key\":%q}\n", base64.StdEncoding.EncodeToString(key.Public()))
	case how == "nosign":
		os.Exit(1)
	default:
		encoded, _ := request.Get("message")
		message, _ := base64.StdEncoding.DecodeString(encoded.Text)
		if how == "forge" {
			message = append(message, 'x')
		}
		signature, _ := key.Sign(message)
		fmt.Printf("{\"signature\":%q}\n", base64.StdEncoding.EncodeToString(signature))
	}
}

// keyWorld runs commands in this process, in a directory of their own.
type keyWorld struct {
	t    *testing.T
	said bytes.Buffer // all of stdout and stderr
}

func newKeyWorld(t *testing.T) *keyWorld {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("ASSAY_HOME", filepath.Join(dir, "home"))
	return &keyWorld{t: t}
}

func (w *keyWorld) assay(want int, args ...string) {
	w.t.Helper()
	var out, talk bytes.Buffer
	code := run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &talk, Env: os.Getenv})
	w.said.Write(out.Bytes())
	w.said.Write(talk.Bytes())
	if code != want {
		w.t.Errorf("%q: exit %d, want %d\n%s%s", args, code, want, out.Bytes(), talk.Bytes())
	}
}

// TestASecretKeyIsNowhereButInItsFiles runs every command with a seed that is known, and looks for it.
func TestASecretKeyIsNowhereButInItsFiles(t *testing.T) {
	if _, err := exec.LookPath("true"); err != nil {
		t.Skip("SKIPPED: no program to run")
	}
	w := newKeyWorld(t)
	seed := []byte("CANARY-seed-of-exactly-32-bytes!")
	text := base64.StdEncoding.EncodeToString(seed)
	key, err := keystore.NewKey("x", seed)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret.key.b64", text+"\n")
	write("secret.pub.b64", base64.StdEncoding.EncodeToString(key.Public())+"\n")
	write("broken.key.b64", text[1:]+"A\n")
	write("pass", "PASSPHRASE-CANARY")
	for _, machine := range [][]string{nil, {"--json"}} {
		run := func(want int, args ...string) { t.Helper(); w.assay(want, append(args, machine...)...) }
		tag := strings.Join(machine, "")
		id := "imported" + tag
		run(0, "key", "import", "secret.pub.b64", "--private", "secret.key.b64", "--signer", id, "--set-active")
		run(3, "key", "import", "secret.pub.b64", "--private", "secret.key.b64", "--signer", id)
		run(3, "key", "import", "secret.pub.b64", "--private", "broken.key.b64", "--signer", "broken")
		run(3, "key", "import", "secret.key.b64", "--private", "secret.pub.b64", "--signer", "swapped")
		for _, command := range []string{"list", "info", "audit", "runbook"} {
			run(0, "key", command)
		}
		run(0, "lock", "write", "--cards", "receipt_completeness", "--signer-allowlist", id, "-o", "assay.lock")
		w.assay(0, append(append([]string{"run", "--allow-empty", "-o", "pack_store" + tag}, machine...), "--", "true")...)
		run(0, "key", "rotate", "--lock", "assay.lock")
		run(0, "key", "set-active", id)
		run(0, "key", "export", id, "--private", "-o", "secret-out"+tag)
		t.Setenv("ASSAY_KEY_PASSPHRASE_FILE", "pass")
		run(0, "key", "encrypt", id)
		run(0, "key", "list")
		w.assay(0, append(append([]string{"run", "--allow-empty", "-o", "pack_encrypted" + tag}, machine...), "--", "true")...)
		t.Setenv("ASSAY_KEY_PASSPHRASE_FILE", "secret.key.b64")
		run(3, "key", "decrypt", id)
		t.Setenv("ASSAY_KEY_PASSPHRASE_FILE", "pass")
		run(0, "key", "decrypt", id)
		t.Setenv("ASSAY_KEY_PASSPHRASE_FILE", "")
		run(0, "key", "ci-setup")
		for _, value := range []string{text, text + "\n", text + "\n\n", text[1:], text + text, string(seed), hex.EncodeToString(seed)} {
			t.Setenv("ASSAY_SIGNING_KEY", value)
			want, output := 3, "no_pack"
			if strings.TrimSuffix(value, "\n") == text {
				want, output = 0, fmt.Sprintf("pack_env_%d%s", len(value), tag)
			}
			w.assay(want, append(append([]string{"run", "--allow-empty", "-o", output}, machine...), "--", "true")...)
		}
		t.Setenv("ASSAY_SIGNING_KEY", "")
		t.Setenv("ASSAY_SIGNING_KEY_FILE", "secret.key.b64")
		w.assay(0, append(append([]string{"run", "--allow-empty", "-o", "pack_file" + tag}, machine...), "--", "true")...)
		t.Setenv("ASSAY_SIGNING_KEY_FILE", "broken.key.b64")
		w.assay(3, append(append([]string{"run", "--allow-empty", "-o", "no_pack"}, machine...), "--", "true")...)
		t.Setenv("ASSAY_SIGNING_KEY_FILE", "")
	}
	w.assay(0, "key", "revoke", "imported", "--lock", "assay.lock", "--reason", "test")
	w.assay(3, "key", "export", "imported", "--private")
	w.assay(1, "key", "audit")

	lookFor := map[string][]byte{"raw": seed[:16], "hex": []byte(hex.EncodeToString(seed)[:32]), "base64": []byte(text[4:24]),
		"decimal": []byte(strings.Trim(fmt.Sprint(seed[:8]), "[]")), "passphrase": []byte("PASSPHRASE-CANARY")}
	for form, needle := range lookFor {
		if at := bytes.Index(w.said.Bytes(), needle); at >= 0 {
			t.Errorf("printed in %s: …%s", form, w.said.Bytes()[max(0, at-80):at])
		}
	}
	searched := 0
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == "pass" {
			return err
		}
		content, err := os.ReadFile(path)
		searched++
		for form, needle := range lookFor {
			if bytes.Contains(content, needle) && !strings.HasSuffix(path, ".key") && !strings.HasSuffix(path, ".key.b64") {
				t.Errorf("%s holds it in %s", path, form)
			}
		}
		return err
	})
	if err != nil || searched < 50 {
		t.Errorf("searched %d files, %v", searched, err)
	}
}

func TestRotationsAtOnceLoseNoKeyOfALock(t *testing.T) {
	w := newKeyWorld(t)
	w.assay(0, "key", "generate", "first")
	w.assay(0, "lock", "write", "--cards", "receipt_completeness", "--signer-allowlist", "first", "-o", "assay.lock")
	const rotations = 16
	codes := make([]int, rotations)
	var all sync.WaitGroup
	for i := range rotations {
		all.Go(func() {
			codes[i] = run(context.Background(), []string{"key", "rotate", "--lock", "assay.lock"},
				cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard, Env: os.Getenv})
		})
	}
	all.Wait()
	lock, err := expect.ReadLockToReplace("assay.lock")
	if err != nil {
		t.Fatal(err)
	}
	if admitted := lock.Signers(); admitted.Any() || len(admitted.Fingerprints()) != rotations+1 {
		t.Errorf("the lock admits %d keys, want %d; exits %v", len(admitted.Fingerprints()), rotations+1, codes)
	}
	w.assay(0, "key", "audit")
}

// The rehearsal of the runbook (PP-24): what the lock says decides, for packs of both keys.
func TestALockFollowsRotationAndRevocation(t *testing.T) {
	if _, err := exec.LookPath("true"); err != nil {
		t.Skip("SKIPPED: no program to run")
	}
	w := newKeyWorld(t)
	packBy := func(signer string) {
		t.Helper()
		t.Setenv("ASSAY_SIGNER_ID", signer)
		w.assay(0, "run", "--allow-empty", "-c", "receipt_completeness", "--exit-policy", "child", "-o", "pack_"+signer, "--", "true")
		t.Setenv("ASSAY_SIGNER_ID", "")
	}
	verified := func(signer string, admitted bool) {
		t.Helper()
		lock, err := expect.ReadLockToReplace("assay.lock")
		if err != nil {
			t.Fatal(err)
		}
		r, err := expect.VerifyDir("pack_"+signer, pack.Options{Lock: lock, Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if tampered := r.ExitCode() == cli.ExitTampered; tampered == admitted {
			t.Errorf("pack of %s: exit %d, admitted: %v\n%v", signer, r.ExitCode(), admitted, r.Findings)
		}
	}
	w.assay(0, "key", "generate", "old")
	w.assay(0, "key", "generate", "dev", "--no-set-active")
	w.assay(0, "lock", "write", "--cards", "receipt_completeness", "--signer-allowlist", "old", "-o", "assay.lock")
	for _, signer := range []string{"old", "dev"} {
		packBy(signer)
	}
	verified("old", true)
	verified("dev", false)
	w.assay(0, "key", "rotate", "--new-signer", "new", "--lock", "assay.lock")
	packBy("new")
	verified("old", true)
	verified("new", true)
	verified("dev", false)
	w.assay(0, "key", "revoke", "old", "--lock", "assay.lock")
	verified("old", false)
	verified("new", true)
	w.assay(0, "key", "revoke", "new", "--lock", "assay.lock")
	for _, signer := range []string{"old", "new", "dev"} { // an empty list admits nobody
		verified(signer, false)
	}
}
