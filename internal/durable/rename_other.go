//go:build !linux && !darwin

package durable

func renameNew(old, new string) error { return renameChecked(old, new) }
