package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// Packed tells which pack was made of a trace last. It stands beside the trace, in <trace>.packed:
//
//	{"bytes":512,"pack_id":"pack_20260115T120000_5f2c9a01"}
//
// Receipts that arrive after it are in the trace and not in that pack.
type Packed struct {
	PackID string
	Bytes  int64 // of the trace, that were packed
}

const maxPacked = 4 << 10 // bytes of the file

func packedPath(path string) string { return strings.TrimSuffix(path, ".jsonl") + ".packed" }

// MarkPacked notes that the receipts of t, as it was opened, are in the pack. If we stop before it is written,
// later receipts are recorded all the same, and nobody is told that a pack was made without them.
func (t *Trace) MarkPacked(packID string) error {
	text, err := jcs.AppendPackLine(nil, jcs.Obj(jcs.M("pack_id", jcs.Str(packID)), jcs.M("bytes", jcs.Int(t.Size))))
	if err != nil {
		return err
	}
	return durable.WriteFile(packedPath(t.Path), append(text, '\n'), 0o600)
}

// Packed is which pack was made of t last. The error is fs.ErrNotExist if none was.
func (t *Trace) Packed() (Packed, error) { return readPacked(t.Path) }

// Packed is which pack was made of a trace last. The error is fs.ErrNotExist if none was. The cost does not
// grow with the store where the trace is of today.
func (s *Store) Packed(traceID string) (Packed, error) {
	if err := checkTraceID(traceID); err != nil {
		return Packed{}, err
	}
	path := filepath.Join(s.Dir, s.now().Format(dayForm), traceID+".jsonl")
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		paths, err := s.find(traceID)
		if err != nil || len(paths) == 0 {
			return Packed{}, errors.Join(err, fs.ErrNotExist)
		}
		path = paths[len(paths)-1]
	}
	return readPacked(path)
}

func readPacked(path string) (p Packed, err error) {
	file, err := durable.OpenItself(packedPath(path), os.O_RDONLY, 0)
	if err != nil {
		return p, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxPacked))
	if err != nil {
		return p, err
	}
	v, err := jcs.Parse(text, jcs.Limits{Bytes: maxPacked})
	if err != nil {
		return p, fmt.Errorf("%s: %w", file.Name(), err)
	}
	id, _ := v.Get("pack_id")
	if p = (Packed{id.Text, integer(v, "bytes")}); p.PackID == "" || p.Bytes < 0 || len(v.Members) != 2 {
		return Packed{}, fmt.Errorf("%s: expected pack_id and bytes", file.Name())
	}
	return p, nil
}

// ignored is the .gitignore of a directory that holds receipts, and perhaps keys.
const ignored = "# What programs said, and keys: nothing for a repository. What reviews need may be added by name.\n*\n!.gitignore\n!baseline.json\n"

// KeepFromGit writes a .gitignore into dir, whole or not at all, unless something of that name is there. Half of
// one would hide nothing, for ever.
func KeepFromGit(dir string) error {
	path := filepath.Join(dir, ".gitignore")
	if _, err := os.Lstat(path); err == nil {
		return nil // the usual case, without an fsync
	}
	if err := durable.CreateFile(path, []byte(ignored), 0o600); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
