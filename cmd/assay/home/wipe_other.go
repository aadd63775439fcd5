//go:build !linux

package home

func wipeVariable(string) {}
