//go:build !unix

package conformance

import "os"

func mkfifo(*os.Root, string) error { return errHere }
