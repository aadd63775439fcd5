package expect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/pack/lock"
)

// DefaultLock is where a lock is if nobody says another place.
const DefaultLock = "assay.lock"

// ReadLock reads a lock once: what is checked is what is used. One that is invalid is governance
// drift, exit 2; one that is not there is bad input.
func ReadLock(path string) (*lock.Lock, error) {
	text, err := cli.ReadFile(path, 16<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cli.BadInput("make one with 'assay lock init'", "no lockfile at %s", path)
	} else if err != nil {
		return nil, err
	}
	l, err := lock.Parse(text)
	if err != nil {
		return nil, &cli.Error{Code: cli.ExitTampered, Err: fmt.Errorf("%s: %w", path, err), Hint: "see all of it with 'assay lock check " + path + "'"}
	}
	return l, nil
}

// ReadLockToReplace reads a lock that will be replaced: no link, which would be written through.
func ReadLockToReplace(path string) (*lock.Lock, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, cli.BadInput("", "%s is not a regular file", path)
	}
	return ReadLock(path)
}
