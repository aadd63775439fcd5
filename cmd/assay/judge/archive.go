package judge

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// unsignedFiles are the files of _unsigned/ that this tool or the reference tool writes.
var unsignedFiles = []string{"PACK_SUMMARY.md", "anchor.tlog-proof", "decision_credential.json", "receipt_pack_v2.jsonl", "run_cards.json"}

// maxUnsigned bounds what nothing signed covers.
const maxUnsigned = 64 << 20

// copyPack copies the files that belong to a pack, each only if it is a regular file.
func copyPack(from, to string) error {
	fsys, closeDir, err := pack.DirFS(from)
	if err != nil {
		return err
	}
	defer closeDir()
	if err := os.MkdirAll(filepath.Join(to, "_unsigned"), 0o700); err != nil {
		return err
	}
	for _, name := range manifest.FileNames() {
		if err := copyFile(fsys, name, to, 4<<30); err != nil {
			return err
		}
	}
	for _, name := range unsignedFiles {
		err := copyFile(fsys, "_unsigned/"+name, to, maxUnsigned)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func copyFile(fsys fs.FS, name, to string, limit int64) error {
	in, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return cli.BadInput("", "%s is not a regular file", name)
	}
	out, err := os.OpenFile(filepath.Join(to, filepath.FromSlash(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, limit+1))
	if err == nil && n > limit {
		err = cli.BadInput("", "%s has more than %d bytes", name, limit)
	}
	return errors.Join(err, out.Close())
}

// bundleTime is the time of every file in a bundle: the same pack, the same bytes.
var bundleTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// writeBundle writes the archive: one directory, in it the pages by name, the checksums and pack/.
func writeBundle(staging, name, dir string, pages map[string][]byte) (path, digest string, err error) {
	path = filepath.Join(staging, "bundle")
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := sha256.New()
	zipped := gzip.NewWriter(io.MultiWriter(out, sum)) // no name, no time
	b := &bundleWriter{archive: tar.NewWriter(zipped), root: name + "/"}
	b.directory("")
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		b.file(page, bytes.NewReader(pages[page]), int64(len(pages[page])))
	}
	b.directory("pack/")
	b.directory("pack/_unsigned/")
	for _, file := range slices.Concat(manifest.FileNames(), prefixed("_unsigned/", unsignedFiles)) {
		b.copy("pack/"+file, filepath.Join(dir, filepath.FromSlash(file)))
	}
	b.sums = append(b.sums, "") // a newline at the end
	text := strings.Join(b.sums, "\n")
	b.file("SHA256SUMS.txt", strings.NewReader(text), int64(len(text)))
	err = errors.Join(b.err, b.archive.Close(), zipped.Close(), out.Sync())
	return path, fmt.Sprintf("%x", sum.Sum(nil)), err
}

func prefixed(prefix string, names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = prefix + name
	}
	return list
}

// bundleWriter keeps the first error; after it nothing is written.
type bundleWriter struct {
	archive *tar.Writer
	root    string
	sums    []string // lines of sha256sum
	err     error
}

func (b *bundleWriter) directory(name string) {
	if b.err == nil {
		b.err = b.archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: b.root + name, Mode: 0o755, ModTime: bundleTime})
	}
}

func (b *bundleWriter) file(name string, content io.Reader, size int64) {
	if b.err != nil {
		return
	}
	digest := sha256.New()
	if b.err = b.archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: b.root + name, Mode: 0o644, Size: size, ModTime: bundleTime}); b.err != nil {
		return
	}
	if _, b.err = io.Copy(b.archive, io.TeeReader(content, digest)); b.err == nil {
		b.sums = append(b.sums, fmt.Sprintf("%x  %s", digest.Sum(nil), name))
	}
}

// copy adds a file of the pack, if it has that one.
func (b *bundleWriter) copy(name, path string) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var info fs.FileInfo
	if err == nil {
		defer f.Close()
		info, err = f.Stat()
	}
	if err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	b.file(name, f, info.Size())
}
