package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// Graver is the one of two exit codes that the other must not hide: tampered, bad input,
// unavailable, honest failure, pass; and before all of them what should not happen.
func Graver(a, b int) int {
	order := []int{ExitPass, ExitHonestFail, ExitUnavailable, ExitBadInput, ExitTampered}
	rank := func(code int) int {
		if i := slices.Index(order, code); i >= 0 {
			return i
		}
		return len(order)
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// Judged ends a command with the code of its verdict; err is that of showing it. Where both went wrong the
// graver code is the answer: an exit code that nobody can read up on is no pass, and a full disk under stdout
// makes nothing of "tampered".
func Judged(code int, err error) error {
	switch {
	case err == nil && code == ExitPass:
		return nil
	case err == nil:
		return Verdict(code)
	}
	told := &Error{Code: Graver(code, exitCodeOf(err)), Err: err, Hint: hintOf(err), judged: true}
	if code == ExitTampered { // for whoever reads the sentence and not the number
		told.Err = fmt.Errorf("the verdict is exit %d, do not rely on it, and %w", code, err)
	}
	return told
}

// exitCodeOf is the exit code of an error that is no Verdict.
func exitCodeOf(err error) int {
	code := ExitBadInput // of the caller: errors of cobra, of the file system, and what nobody gave a code
	var told *Error
	if errors.As(err, &told) {
		code = told.Code
	}
	if code == ExitBadInput && StorageRefused(err) && !(told != nil && told.judged) {
		code = ExitUnavailable
	}
	return code
}

func hintOf(err error) string {
	var told *Error
	if errors.As(err, &told) && told.Hint != "" {
		return told.Hint
	}
	if StorageRefused(err) {
		return "make room, or make it writable, and run it again"
	}
	return ""
}

// StorageRefused reports whether err comes of a write that a full, a read-only or a failing disk refused. The
// command was right, and may be run again: unavailable, never bad input. It is asked in one place for all
// commands of both programs, so an error of writing keeps its cause (%w).
func StorageRefused(err error) bool {
	for _, refusal := range storageErrors {
		if errors.Is(err, refusal) {
			return true
		}
	}
	// Reading may fail for the same cause, and then there is an input that nobody can read.
	var path *fs.PathError
	var link *os.LinkError
	return errors.Is(err, syscall.EIO) && (errors.As(err, &link) ||
		errors.As(err, &path) && slices.Contains([]string{"write", "sync", "close", "truncate", "mkdir", "chmod", "fchmod"}, path.Op))
}
