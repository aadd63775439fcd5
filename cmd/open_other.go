//go:build !unix

package cmd

const openNonblock = 0

func enoughFiles() error { return nil }
