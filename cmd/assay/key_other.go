//go:build !linux

package main

func holdKey() {}

func wipeVariable(string) {}
