//go:build !unix

package serve

// descriptorLimit is a guess where the system has no RLIMIT_NOFILE.
func descriptorLimit() int { return 1024 }
