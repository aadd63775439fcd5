//go:build !linux

package main

func holdKey() {}
