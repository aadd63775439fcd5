// Package site makes of a log a folder of plain files that any static host serves: the log itself as C2SP
// tlog-tiles has it, the history of its checkpoints, files by which a reader without a server finds entries,
// feeds, and pages that verify what they show in the reader's browser.
//
// The folder depends on the log, the history of its checkpoints, this program and the options of the build alone: built
// anew or grown step by step, it has the same bytes.
package site

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// Source is a log to build a site from: the directories of a ledger (ledger.Files), a ledger or a site at a URL
// (client.Files), or a site in a folder (Folder). Nothing it gives is believed before it is verified. What is missing is
// fs.ErrNotExist. Tiles are asked for several at a time.
type Source interface {
	Policy(ctx context.Context) ([]byte, error)     // the ledger's own word about whom to believe
	Roots(ctx context.Context) ([]byte, error)      // of its timestamps, in PEM
	Checkpoint(ctx context.Context) ([]byte, error) // the published note

	// Tile is the bytes at a path of tlog-tiles, "tile/entries/000.p/3".
	Tile(ctx context.Context, path string) ([]byte, error)

	// Checkpoints yields the published notes in their order, from number start on, each of a larger tree. It is read after
	// Checkpoint and may be ahead of it: what is, is left for the next build. A history that has no number start, and is
	// not just as long, is fs.ErrNotExist.
	Checkpoints(ctx context.Context, start int64) iter.Seq2[[]byte, error]
}

// What can be wrong with a build, for errors.Is. Whatever it is, the last good site stays.
var (
	// ErrDamaged: what the log gave contradicts its checkpoint.
	ErrDamaged = errors.New("the log is damaged")
	// ErrMissing: what a checkpoint covers is not there.
	ErrMissing = errors.New("a part of the log is missing")
	// ErrRolledBack: the log is smaller than the site, or does not continue it.
	ErrRolledBack = errors.New("the log was rolled back")
	// ErrSiteDamaged: what the folder holds is not what a build has left there.
	ErrSiteDamaged = errors.New("the site is damaged: build it again in a new folder")
	// ErrNotOurs: the folder holds something else than a site.
	ErrNotOurs = errors.New("the folder is no site of a ledger")
	// ErrOtherLog: the folder is the site of another log.
	ErrOtherLog = errors.New("the folder is the site of another log")
)

// countFile is how many notes the history has.
const countFile = tiles.CheckpointCount

func siteDamaged(err error) error { return fmt.Errorf("%w: %w", ErrSiteDamaged, err) }

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// sha256Line is what sha256sum prints.
func sha256Line(name string, data []byte) []byte {
	return fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(data), name)
}
