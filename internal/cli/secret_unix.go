//go:build unix && !linux

package cli

import "syscall"

// HoldSecret is called before this process gets to know a secret key: from then on no crash of it leaves a
// core file. Programs that it starts begin with the same limit, and may raise it.
func HoldSecret() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
	}
}
