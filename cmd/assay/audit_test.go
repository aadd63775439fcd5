package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/pack"
)

// handScript is the shell script of a page.
func handScript(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, script, found := strings.Cut(string(text), "```sh\n")
	script, _, ended := strings.Cut(script, "```\n")
	if !found || !ended {
		t.Fatalf("%s has no script", page)
	}
	return script
}

// bundledPage is the file of a page in the audit bundle of a pack.
func bundledPage(t *testing.T, dir, name string) string {
	t.Helper()
	bundle := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if code, out, talk := homeless(t, "audit", "bundle", dir, "-o", bundle); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, talk)
	}
	f, err := os.Open(bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err != nil {
			t.Fatalf("no %s in the bundle: %v", name, err)
		}
		if path.Base(header.Name) != name {
			continue
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		page := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(page, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return page
	}
}

// The instructions without our tool accept what is good, and refuse every alteration.
func TestInstructionsWithoutThisToolTellGoodFromTampered(t *testing.T) {
	for _, program := range []string{"sh", "jq", "sha256sum", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here", program)
		}
	}
	if version, _ := exec.Command("openssl", "version").Output(); !bytes.HasPrefix(version, []byte("OpenSSL 3")) {
		t.Skipf("openssl is %q", version)
	}
	dir := filepath.Join(t.TempDir(), "challenge")
	if code, out, talk := homeless(t, "demo-challenge", "-o", dir); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, talk)
	}
	good := filepath.Join(dir, "good")
	r, err := expect.VerifyDir(good, pack.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for page, folder := range map[string]string{filepath.Join(dir, "CHALLENGE.md"): "good", bundledPage(t, good, "VERIFY_INSTRUCTIONS.md"): "pack"} {
		script := handScript(t, page)
		check := func(name string) (string, bool) {
			other := strings.Replace(script, "\ncd "+folder+"\n", "\ncd "+name+"\n", 1)
			if !strings.Contains(other, "\ncd "+name+"\n") {
				t.Fatalf("no directory in the script:\n%s", script)
			}
			c := exec.Command("sh", "-c", other)
			c.Dir = dir
			text, err := c.CombinedOutput()
			return string(text), err == nil
		}
		if text, ok := check("good"); !ok || !strings.Contains(text, "Signature Verified Successfully\n") || !strings.Contains(text, r.Manifest.SignerFingerprint().String()) {
			t.Errorf("%s refuses the good pack:\n%s", page, text)
		}
		if text, ok := check("tampered"); ok || !strings.Contains(text, "receipt_pack.jsonl: FAILED") {
			t.Errorf("%s accepts the tampered pack:\n%s", page, text)
		}
		for name, edit := range map[string][2]string{"signer": {`"signer_id": "demo"`, `"signer_id": "Demo"`}, "attestation": {`"mode": "shadow"`, `"mode": "enforced"`}} {
			bad := filepath.Join(dir, "bad")
			if err := os.CopyFS(bad, os.DirFS(filepath.Join(dir, "good"))); err != nil {
				t.Fatal(err)
			}
			manifest := filepath.Join(bad, "pack_manifest.json")
			good, err := os.ReadFile(manifest)
			if err != nil {
				t.Fatal(err)
			}
			altered := bytes.Replace(good, []byte(edit[0]), []byte(edit[1]), 1)
			if bytes.Equal(altered, good) {
				t.Fatalf("no %s in the manifest", edit[0])
			}
			if err := os.WriteFile(manifest, altered, 0o600); err != nil {
				t.Fatal(err)
			}
			if text, ok := check("bad"); ok {
				t.Errorf("%s accepts another %s:\n%s", page, name, text)
			}
			if err := os.RemoveAll(bad); err != nil {
				t.Fatal(err)
			}
		}
	}
	// What the script leaves is not in the way.
	if code, out, talk := homeless(t, "demo-challenge", "-o", dir); code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, talk)
	}
}
