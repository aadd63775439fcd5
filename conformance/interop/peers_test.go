package interop

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// peers are the foreign programs and libraries that the tests met: true if they ran, false if they are not here.
var peers = struct {
	sync.Mutex
	ran map[string]bool
}{ran: map[string]bool{}}

// met records a peer. One that ran once has run.
func met(peer string, ran bool) {
	peers.Lock()
	defer peers.Unlock()
	peers.ran[peer] = peers.ran[peer] || ran
}

// TestMain says at the end which peers ran: a line for each in the file that ASSAY_PEERS names, of which make test makes
// its last one, or here.
func TestMain(m *testing.M) {
	code := m.Run()
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(peers.ran)) {
		word := "skipped"
		if peers.ran[name] {
			word = "ran"
		}
		fmt.Fprintln(&lines, word, name)
	}
	if path := os.Getenv("ASSAY_PEERS"); path == "" {
		fmt.Print(lines.String())
	} else if err := add(path, lines.String()); err != nil {
		fmt.Fprintln(os.Stderr, "ASSAY_PEERS:", err)
		code = 1
	}
	os.Exit(code)
}

// add writes behind what other tests have told: one write, so that nobody's lines are torn.
func add(path, lines string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(lines)
	return errors.Join(err, f.Close())
}
