package main

import (
	"github.com/Haserjian/assay-ledger/cmd"
)

// checkOutputs refuses, before anything is judged, what cannot be written or would be written over evidence.
func (v *verifying) checkOutputs(dirs []string) error {
	for _, o := range []struct{ flag, path string }{{"html", v.html}, {"badge", v.badge}, {"out", v.out}} {
		if o.path != "" && len(dirs) > 1 {
			return cmd.BadInput("--csv writes a row for each of several packs, --json prints them all", "--%s is for one pack, not %d", o.flag, len(dirs))
		}
	}
	if v.Proof != "" && len(dirs) > 1 {
		return cmd.BadInput("", "--proof is for one pack, not %d", len(dirs))
	}
	return v.MayWrite(v.c, dirs, "html", "badge", "out", "csv")
}
