//go:build unix

package serve

import "golang.org/x/sys/unix"

// descriptorLimit is RLIMIT_NOFILE, or the usual 1024 where it cannot be read.
func descriptorLimit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(uint64(limit.Cur), 1<<30))
}
