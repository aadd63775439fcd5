// Package verifier holds the second verifier of proof packs: modules of plain JavaScript, written from docs/spec alone.
package verifier

import "embed"

// Files are the modules, all in one folder.
//
//go:embed *.mjs
var Files embed.FS
