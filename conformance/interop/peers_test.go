package interop

import (
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

// TestMain says at the end which peers ran. make test shows the line as its last one, from the file that
// ASSAY_PEERS names: go test prints words of its own after it.
func TestMain(m *testing.M) {
	code := m.Run()
	var ran, skipped []string
	for _, name := range slices.Sorted(maps.Keys(peers.ran)) {
		if peers.ran[name] {
			ran = append(ran, name)
		} else {
			skipped = append(skipped, name)
		}
	}
	line := fmt.Sprintf("peers: %d run, %d skipped", len(ran), len(skipped))
	if len(ran)+len(skipped) > 0 {
		line += " (" + strings.Join(ran, ", ")
		if len(skipped) > 0 {
			line += "; not here: " + strings.Join(skipped, ", ")
		}
		line += ")"
	}
	if path := os.Getenv("ASSAY_PEERS"); path != "" {
		if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "ASSAY_PEERS:", err)
			code = 1
		}
	} else {
		fmt.Println(line)
	}
	os.Exit(code)
}
