package pack

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// TestAtk_P11_NoLinkOutOfThePackIsOpened watches what links in a pack lead to: a file, and a folder of the
// names that a pack has.
func TestAtk_P11_NoLinkOutOfThePackIsOpened(t *testing.T) {
	files := smallPack(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.CopyFS(outside, os.DirFS(writePack(t, files))); err != nil {
		t.Fatal(err)
	}
	watch, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Skipf("SKIPPED: no inotify here: %v", err)
	}
	defer syscall.Close(watch)
	if _, err := syscall.InotifyAddWatch(watch, outside, syscall.IN_OPEN|syscall.IN_ACCESS); err != nil {
		t.Skipf("SKIPPED: no inotify here: %v", err)
	}
	buf := make([]byte, 64<<10)
	opened := func() bool {
		n, err := syscall.Read(watch, buf)
		return err == nil && n > 0
	}
	if _, err := os.ReadFile(filepath.Join(outside, manifest.ReceiptsName)); err != nil || !opened() {
		t.Fatalf("the watch sees nothing: %v", err)
	}
	for opened() { // what is left of that
	}
	for name := range files {
		for what, to := range map[string]string{
			"absolute": filepath.Join(outside, name), "up": "../outside/" + name, "through the folder": "d/" + name,
		} {
			dir := filepath.Join(filepath.Dir(outside), "pack")
			if err := os.CopyFS(dir, os.DirFS(writePack(t, files))); err != nil {
				t.Fatal(err)
			}
			for _, link := range [][2]string{{outside, filepath.Join(dir, "d")}, {to, filepath.Join(dir, name)}, {outside, filepath.Join(dir, manifest.UnsignedName)}} {
				if err := os.RemoveAll(link[1]); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(link[0], link[1]); err != nil {
					t.Fatal(err)
				}
			}
			if r := verifyDir(t, dir, Options{Now: builtAt}); r.ExitCode() != 2 || !finds(r, manifest.CodePathEscape) {
				t.Errorf("%s %s: exit %d, %v", name, what, r.ExitCode(), r.Findings)
			}
			if opened() {
				t.Errorf("%s %s: something outside was opened: %q", name, what, bytes.Trim(buf[:64], "\x00"))
				for opened() {
				}
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
}
