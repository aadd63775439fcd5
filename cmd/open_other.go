//go:build !unix

package cmd

const openNonblock = 0
