//go:build !unix

package pack

const nonblock = 0
