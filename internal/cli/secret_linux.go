package cli

import "golang.org/x/sys/unix"

// HoldSecret is called before this process gets to know a secret key. From then on no crash of it (a
// panic, a lack of memory, SIGQUIT) leaves a core file, and no other process of the same user can read its
// memory or attach to it. Programs that it starts are not affected: exec undoes it. A kernel that does
// not know the call has other guards.
func HoldSecret() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
