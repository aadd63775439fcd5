//go:build !unix

package durable

// syncDir does nothing: directories cannot be fsynced here, NTFS journals their names.
func syncDir(string) error { return nil }
