//go:build !unix

package keystore

import "io/fs"

// PermissionsChecked says whether modes and owners of files are judged on this system. Here Go shows no
// access control list: who else may read a key is what the directory of the user's profile says.
const PermissionsChecked = false

func checkInfo(fs.FileInfo, fs.FileMode) error { return nil }
