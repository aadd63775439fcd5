//go:build !unix

package main

const inheritsDescriptors = false

func closeOnExec(int) {}
