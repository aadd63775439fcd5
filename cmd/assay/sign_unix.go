//go:build unix

package main

import "syscall"

const inheritsDescriptors = true

func closeOnExec(fd int) { syscall.CloseOnExec(fd) }
