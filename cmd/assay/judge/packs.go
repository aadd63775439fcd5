package judge

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// packs are the directories that the arguments name.
func (o *verifyPack) packs(args []string) (dirs []string, err error) {
	if o.latest && len(args) == 0 {
		args = []string{"."}
	}
	for _, arg := range args {
		named, err := expand(arg)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, named...)
	}
	if !o.latest {
		return dirs, nil
	}
	var newest []string
	for _, dir := range dirs {
		found, err := latestPacks(dir)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			fmt.Fprintf(o.s.Err, "latest of %s: %s\n", terminal.Safe(dir), terminal.Safe(one.dir))
			if one.undated != nil {
				fmt.Fprintf(o.s.Err, "it is judged before all others, because its age cannot be told: %s\n", terminal.Safe(one.undated.Error()))
				fmt.Fprintf(o.s.Err, "hint: if it is not meant, move it out of %s\n", terminal.Safe(dir))
			}
			newest = append(newest, one.dir)
		}
	}
	return newest, nil
}

// expand is what a shell makes of a pattern, for those that did not: quoted, or on Windows. What exists
// under its very name is no pattern.
func expand(arg string) ([]string, error) {
	if !strings.ContainsAny(arg, magic) {
		return []string{arg}, nil
	}
	if _, err := os.Lstat(arg); err == nil {
		return []string{arg}, nil
	}
	if _, err := filepath.Match(arg, ""); err != nil {
		return nil, cli.BadInput("", "%q is no pattern: %v", arg, err)
	}
	pattern := strings.TrimRightFunc(arg, isSeparator)
	names, err := glob(pattern)
	if err != nil {
		return nil, cli.BadInput("a pattern passes over nothing that cannot be read: name the packs, or a pattern beside it", "%q: %w", arg, err)
	}
	if pattern != arg { // "dir/*/" names directories only
		names = slices.DeleteFunc(names, func(name string) bool {
			info, err := os.Stat(name)
			return err == nil && !info.IsDir()
		})
	}
	if len(names) == 0 {
		return nil, cli.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack matches %q", arg)
	}
	return names, nil
}

const magic = "*?["

func isSeparator(r rune) bool { return r == '/' || r == filepath.Separator }

// glob is filepath.Glob, which ignores the directories that it cannot read: what is in them would not be judged.
func glob(pattern string) (names []string, err error) {
	dir, last := filepath.Split(pattern)
	dirs := []string{dir}
	if trimmed := strings.TrimRightFunc(dir, isSeparator); strings.ContainsAny(trimmed, magic) {
		if dirs, err = glob(trimmed); err != nil {
			return nil, err
		}
	}
	for _, dir := range dirs {
		if !strings.ContainsAny(last, magic) {
			name := filepath.Join(dir, last)
			if _, err := os.Lstat(name); err == nil {
				names = append(names, name)
			} else if !absent(err) {
				return nil, err
			}
			continue
		}
		entries, err := os.ReadDir(cmp.Or(dir, "."))
		if err != nil && !absent(err) {
			return nil, err
		}
		for _, e := range entries {
			if ok, _ := filepath.Match(last, e.Name()); ok {
				names = append(names, filepath.Join(dir, e.Name()))
			}
		}
	}
	return names, nil
}

// absent is the error of a path on which there is nothing, or a file where a directory would have to be.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// candidate is a pack that may be the newest of its directory; undated says why nobody can tell when it was built.
type candidate struct {
	dir     string
	undated error
}

// latestPacks is the newest pack of a directory, by what its signed manifest says (a clone or a copy has other
// file times). Whoever can damage a manifest could otherwise choose which older pack is judged in its place:
// what cannot be read or does not verify comes before every pack that does, and all such are returned.
// Names that begin with a dot are no packs: such is what a build leaves that was killed.
func latestPacks(dir string) ([]candidate, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	newest, at, undated := "", time.Time{}, []candidate(nil)
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !mayBePack(name) {
			continue
		}
		switch built, err := buildTime(name); {
		case err != nil:
			undated = append(undated, candidate{name, err})
		case newest == "" || built.After(at) || built.Equal(at) && name > newest:
			newest, at = name, built
		}
	}
	switch {
	case len(undated) > 0:
		return undated, nil
	case newest == "":
		return nil, cli.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack in %s", dir)
	}
	return []candidate{{dir: newest}}, nil
}

// mayBePack: a directory that is named like a pack or has any file of one, and whatever cannot be looked at.
// A link to a pack is a pack.
func mayBePack(name string) bool {
	switch info, err := os.Stat(name); {
	case err != nil:
		return true
	case !info.IsDir():
		return false
	}
	return strings.HasPrefix(filepath.Base(name), "proof_pack_") ||
		slices.ContainsFunc(append(manifest.FileNames(), "_unsigned"), func(file string) bool {
			_, err := os.Lstat(filepath.Join(name, file))
			return !errors.Is(err, fs.ErrNotExist)
		})
}

// buildTime is that of the pack id, pack_YYYYMMDDTHHMMSS_xxxxxxxx, or the time of the last receipt if that
// is later: it is, by less than a second, or where the id is another.
func buildTime(dir string) (at time.Time, err error) {
	fsys, closeDir, err := pack.DirFS(dir)
	if err != nil {
		return at, err
	}
	defer closeDir()
	m, err := readManifest(fsys)
	if err != nil {
		return at, err
	}
	if stamp, ok := strings.CutPrefix(m.PackID, "pack_"); ok && len(stamp) > 15 {
		at, _ = time.Parse("20060102T150405", stamp[:15])
	}
	if last, err := time.Parse(time.RFC3339, m.Attestation.TimestampEnd); err == nil && last.After(at) {
		at = last
	}
	if at.IsZero() {
		return at, fmt.Errorf("%s says no time", expect.ManifestName)
	}
	return at, nil
}

// readManifest reads the manifest of a pack that is signed by somebody, or says why it is none.
func readManifest(fsys fs.FS) (*manifest.Manifest, error) {
	f, err := fsys.Open(expect.ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it has no %s", expect.ManifestName)
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, expect.MaxManifest+1))
	if err != nil {
		return nil, err
	}
	m, findings := manifest.Verify(text)
	if len(findings) > 0 {
		return nil, fmt.Errorf("%s does not verify: %s", expect.ManifestName, findings[0])
	}
	return m, nil
}
