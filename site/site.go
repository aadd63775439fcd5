// Package site makes of a log a folder of plain files that any static host serves: the log itself as C2SP
// tlog-tiles has it, the history of its checkpoints, files by which a reader without a server finds entries,
// feeds, and pages that verify what they show in the reader's browser.
//
// The folder depends on the log, the history of its checkpoints, this program and the options of the build alone: built
// anew or grown step by step, it has the same bytes.
package site

import (
	"errors"
	"fmt"
	"io/fs"
)

// What can be wrong with a build, for errors.Is. Whatever it is, the last good site stays.
var (
	// ErrDamaged: what the log gave contradicts its checkpoint.
	ErrDamaged = errors.New("the log is damaged")
	// ErrRolledBack: the log is smaller than the site, or does not continue it.
	ErrRolledBack = errors.New("the log was rolled back")
	// ErrSiteDamaged: what the folder holds is not what a build has left there.
	ErrSiteDamaged = errors.New("the site is damaged: build it again in a new folder")
	// ErrNotOurs: the folder holds something else than a site.
	ErrNotOurs = errors.New("the folder is no site of a ledger")
	// ErrOtherLog: the folder is the site of another log.
	ErrOtherLog = errors.New("the folder is the site of another log")
)

func siteDamaged(err error) error { return fmt.Errorf("%w: %w", ErrSiteDamaged, err) }

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
