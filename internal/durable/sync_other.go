//go:build !unix

package durable

// SyncDir does nothing: directories cannot be fsynced here, NTFS journals their names.
func SyncDir(string) error { return nil }
