//go:build !unix

package cli

// HoldSecret does nothing here: whether a crash leaves the memory of a program is up to the system.
func HoldSecret() {}
