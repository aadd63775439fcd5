package clitest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
)

// freePorts gives the addresses that a document shows, 127.0.0.1:8080 to 8089, ports that nobody has. They are
// below those that systems give to connections, so that none of them gets one before its server does.
func freePorts(t *testing.T) *strings.Replacer {
	t.Helper()
	var pairs []string
	taken := map[int]bool{}
	for shown := 8080; shown < 8090; shown++ {
		for tries := 0; ; tries++ {
			port := 10000 + rand.N(20000)
			ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				_ = ln.Close()
			}
			if err == nil && !taken[port] {
				taken[port] = true
				pairs = append(pairs, fmt.Sprintf("127.0.0.1:%d", shown), fmt.Sprintf("127.0.0.1:%d", port))
				break
			}
			if tries == 1000 {
				t.Fatalf("no port is free: %v", err)
			}
		}
	}
	return strings.NewReplacer(pairs...)
}
