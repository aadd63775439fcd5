package expect

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// VerifyDir judges one directory; an error means that there was nothing to judge.
func VerifyDir(dir string, o pack.Options) (*pack.Result, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, cli.BadInput("a pack is a directory such as proof_pack_TRACE", "no pack at %s", dir)
	case err != nil:
		return nil, err
	case info.Mode().IsRegular() && isProof(dir):
		return nil, cli.BadInput(ProofAlone, "%s is a proof, and no pack", dir)
	case !info.IsDir():
		return nil, cli.BadInput("a pack is a directory such as proof_pack_TRACE", "%s is not a directory", dir)
	}
	fsys, closeDir, err := pack.DirFS(dir)
	if err != nil {
		return nil, err
	}
	r, err := pack.Verify(fsys, o)
	return r, errors.Join(notJudged(fsys, dir, err), closeDir())
}

// ProofAlone is the hint for who has a proof and names no pack.
const ProofAlone = "a proof is checked with its pack, 'assay verify-pack PACK --proof FILE --policy FILE', or alone by verify.html, which 'assay page -o verify.html' makes"

// isProof looks at how a file begins. One that cannot be read is none.
func isProof(path string) bool {
	const first = "c2sp.org/tlog-proof@"
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	text := make([]byte, len(first))
	_, err = io.ReadFull(f, text)
	return err == nil && string(text) == first
}

// notJudged says why nothing was judged, and what to do.
func notJudged(fsys fs.FS, dir string, err error) error {
	var unread *pack.ReadError
	switch {
	case errors.Is(err, pack.ErrNoPack):
		return cli.BadInput(nearPack(fsys, dir), "%s is no pack: it %w", dir, err)
	case errors.As(err, &unread):
		return cli.BadInput(readHint(unread), "%s: %w", filepath.Join(dir, filepath.FromSlash(unread.Name)), unread.Cause())
	}
	return err
}

// nearPack is a hint at the pack that a directory holds, such as pack/ of an unpacked bundle.
func nearPack(fsys fs.FS, dir string) string {
	entries, _ := fs.ReadDir(fsys, ".")
	for _, name := range append([]string{"pack"}, entryNames(entries)...) {
		for _, file := range manifest.FileNames() {
			if _, err := fs.Lstat(fsys, name+"/"+file); err == nil {
				return "did you mean " + dir + string(filepath.Separator) + name + "?"
			}
		}
	}
	return "a pack is a directory such as proof_pack_TRACE"
}

func entryNames(entries []fs.DirEntry) (list []string) {
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// readHint is what to do about a file that is there and cannot be read.
func readHint(e *pack.ReadError) string {
	const unjudged = "nothing was judged: "
	switch {
	case errors.Is(e, fs.ErrPermission):
		return unjudged + "this user may not read it; give the permission (chmod +r), or verify as a user who has it"
	case errors.Is(e, syscall.EMFILE), errors.Is(e, syscall.ENFILE):
		return unjudged + "too many files are open; raise the limit (ulimit -n), or verify fewer packs at once"
	}
	return unjudged + "the disk or the network file system failed; read the pack again, or from another copy"
}

// The manifest of a pack, and how many bytes it may have.
const (
	ManifestName = "pack_manifest.json"
	MaxManifest  = 1 << 20
)
