package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
)

// packs are the directories that the arguments name.
func (v *verifying) packs(args []string) (dirs []string, err error) {
	if v.latest && len(args) == 0 {
		args = []string{"."}
	}
	for _, arg := range args {
		named, err := expand(arg)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, named...)
	}
	if !v.latest {
		return dirs, nil
	}
	var newest []string
	for _, dir := range dirs {
		found, err := latestPacks(dir)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			fmt.Fprintf(v.s.Err, "latest of %s: %s\n", cmd.Safe(dir), cmd.Safe(one))
		}
		newest = append(newest, found...)
	}
	return newest, nil
}

// expand is what a shell makes of a pattern, for those that did not: quoted, or on Windows. What exists
// under its very name is no pattern.
func expand(arg string) ([]string, error) {
	if !strings.ContainsAny(arg, "*?[") {
		return []string{arg}, nil
	}
	if _, err := os.Lstat(arg); err == nil {
		return []string{arg}, nil
	}
	pattern := strings.TrimRightFunc(arg, func(r rune) bool { return r == '/' || r == filepath.Separator })
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, cmd.BadInput("", "%q is no pattern: %v", arg, err)
	}
	if pattern != arg { // "dir/*/" names directories only
		names = slices.DeleteFunc(names, func(name string) bool {
			info, err := os.Stat(name)
			return err != nil || !info.IsDir()
		})
	}
	if len(names) == 0 {
		return nil, cmd.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack matches %q", arg)
	}
	return names, nil
}

// latestPacks is the newest pack of a directory, by what its manifest says (a clone or a copy has other
// file times). A pack without such a time is returned as well: it is judged, not passed over.
func latestPacks(dir string) (found []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	newest, at := "", time.Time{}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		// A link to a pack is a pack: it may be the newest.
		if info, err := os.Stat(name); err != nil || !info.IsDir() || !looksLikePack(name) {
			continue
		}
		switch built, ok := buildTime(name); {
		case !ok:
			found = append(found, name)
		case newest == "" || built.After(at) || built.Equal(at) && name > newest:
			newest, at = name, built
		}
	}
	if newest != "" {
		found = append(found, newest)
	}
	if len(found) == 0 {
		return nil, cmd.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack in %s", dir)
	}
	return found, nil
}

func looksLikePack(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "pack_manifest.json"))
	return err == nil || strings.HasPrefix(filepath.Base(dir), "proof_pack_")
}

// buildTime is that of the pack id, pack_YYYYMMDDTHHMMSS_xxxxxxxx, or the time of the last receipt if that
// is later: it is, by less than a second, or where the id is another.
func buildTime(dir string) (at time.Time, ok bool) {
	text, err := cmd.ReadFile(filepath.Join(dir, "pack_manifest.json"), 1<<20)
	if err != nil {
		return at, false
	}
	m, _ := pack.VerifyManifest(text)
	if m == nil {
		return at, false
	}
	if stamp, ok := strings.CutPrefix(m.PackID, "pack_"); ok && len(stamp) > 15 {
		at, _ = time.Parse("20060102T150405", stamp[:15])
	}
	if last, err := time.Parse(time.RFC3339, m.Attestation.TimestampEnd); err == nil && last.After(at) {
		at = last
	}
	return at, !at.IsZero()
}

// verifyDir judges one directory; an error means that there was nothing to judge.
func verifyDir(dir string, o pack.Options) (*pack.Result, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, cmd.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack at %s", dir)
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, cmd.BadInput("a pack is a directory such as proof_pack_TRACE", "%s is not a directory", dir)
	}
	fsys, closeDir, err := pack.DirFS(dir)
	if err != nil {
		return nil, err
	}
	r, err := pack.Verify(fsys, o)
	return r, errors.Join(err, closeDir())
}
