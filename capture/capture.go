// Package capture records receipts at run time: the store that programs emit to.
//
//	<Dir>/.store_seq                              the next _store_seq, in decimal
//	<Dir>/2026-01-15/trace_20260115T110000_5f2c9a01.jsonl
//	{"receipt_id": "r_9f86d081884c", "type": "model_call", "timestamp": "2026-01-15T11:00:00.000000+00:00",
//	 "schema_version": "3.0", "seq": 0, …data…, "_trace_id": "trace_20260115T110000_5f2c9a01",
//	 "_stored_at": "2026-01-15T11:00:00.000000+00:00", "_store_seq": 41}
//
// (one line in the file). Layout, text formats and locks are those of the Python tool, so both may use
// one store at once. Directories are made 0700 and files 0600: receipts hold what a program said.
//
// What survives: a receipt is one write(2) to a file opened for appending, so a program killed with -9
// loses at most the receipt it was emitting. Its torn beginning is left out and counted, and the next
// Emit sets it aside in <trace>.torn, so that no line is glued to it. A power cut may lose the last
// seconds, unless Sync is set. Lines that are no receipts are left out and counted as well: neither stops
// the trace they are in, nor any other.
package capture

import (
	cryptorand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Store is a receipt store. Any number of goroutines and processes may use one at once; they wait for
// each other's locks.
type Store struct {
	Dir  string           // need not exist yet
	Now  func() time.Time // nil: time.Now
	Sync bool             // fsync before Emit returns; false: leave it to the system
}

// ErrRecording is a trace of which a recorder is still at work.
var ErrRecording = errors.New("a recorder is still at work on it")

// Home is the directory of this user's receipts and keys: $ASSAY_HOME, else $HOME/.assay. A home of the
// first releases, $HOME/.loom/assay, counts while there is no $HOME/.assay.
func Home(getenv func(string) string) (string, error) {
	if dir := getenv("ASSAY_HOME"); dir != "" { // RCP-17
		if !filepath.IsAbs(dir) {
			return "", fmt.Errorf("ASSAY_HOME %q: expected an absolute path", dir)
		}
		return filepath.Clean(dir), nil
	}
	user := getenv("HOME")
	if !filepath.IsAbs(user) {
		return "", errors.New("neither ASSAY_HOME nor HOME is an absolute path")
	}
	home, legacy := filepath.Join(user, ".assay"), filepath.Join(user, ".loom", "assay")
	if !isDirectory(home) && isDirectory(legacy) {
		return legacy, nil
	}
	return home, nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// NewTraceID is trace_YYYYMMDDTHHMMSS_ and 8 hex digits of rand (nil: crypto/rand).
func NewTraceID(now time.Time, rand io.Reader) (string, error) {
	suffix, err := randomHex(rand, 4)
	if err != nil {
		return "", fmt.Errorf("making a trace id: %w", err)
	}
	return now.UTC().Format("trace_20060102T150405_") + suffix, nil
}

func randomHex(rand io.Reader, bytes int) (string, error) {
	if rand == nil {
		rand = cryptorand.Reader
	}
	b := make([]byte, bytes)
	if _, err := io.ReadFull(rand, b); err != nil {
		return "", err
	}
	return hex.EncodeToString(b), nil
}

// checkTraceID is RCP-19, ^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$: the id becomes a file name, and it may come from
// the environment.
func checkTraceID(id string) error {
	ok := len(id) >= 1 && len(id) <= 128
	for i, c := range []byte(id) {
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		ok = ok && (alphanumeric || i > 0 && (c == '.' || c == '_' || c == '-'))
	}
	if !ok {
		return fmt.Errorf("trace id %q: expected 1 to 128 letters, digits, dots, underscores or hyphens, a letter or digit first", id)
	}
	return nil
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now().UTC()
	}
	return time.Now().UTC()
}
