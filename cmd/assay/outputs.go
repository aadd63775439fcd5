package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
)

// checkOutputs refuses, before anything is judged, what cannot be written or would be written over evidence.
func (v *verifying) checkOutputs(dirs []string) error {
	for _, o := range []struct{ flag, path string }{{"html", v.html}, {"badge", v.badge}, {"out", v.out}} {
		if o.path != "" && len(dirs) > 1 {
			return cmd.BadInput("--csv writes a row for each of several packs, --json prints them all", "--%s is for one pack, not %d", o.flag, len(dirs))
		}
	}
	if v.proof != "" && len(dirs) > 1 {
		return cmd.BadInput("", "--proof is for one pack, not %d", len(dirs))
	}
	return v.mayWrite(v.c, dirs, "html", "badge", "out", "csv")
}

// mayWrite refuses a file named by one of the flags that is in a pack, or one that the judgement rests on, or
// another's.
func (f *expectFlags) mayWrite(c *cobra.Command, dirs []string, flags ...string) error {
	written := map[string]string{}
	for _, flag := range flags {
		path := c.Flags().Lookup(flag).Value.String()
		if path == "" {
			continue
		}
		parent, err := folderOf(path)
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if within(dir, parent) {
				return cmd.BadInput("write it elsewhere", "--%s %s is inside the pack", flag, path)
			}
		}
		for _, input := range slices.Concat([]string{f.lock, f.contract, f.policy, f.roots, f.proof}, f.cards, f.signers) {
			if sameFile(input, path) {
				return cmd.BadInput("write it elsewhere", "--%s %s is what the pack is held to", flag, path)
			}
		}
		whole := filepath.Join(parent, filepath.Base(path))
		if other, ok := written[whole]; ok {
			return cmd.BadInput("", "--%s and --%s name one file", other, flag)
		}
		written[whole] = flag
	}
	return nil
}

// folderOf is the directory of a file that need not exist, absolute and without links.
func folderOf(path string) (string, error) {
	parent, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(parent)
}

// within reports whether place, an absolute path without links, is dir or below it.
func within(dir, place string) bool {
	for {
		if sameFile(dir, place) {
			return true
		}
		up := filepath.Dir(place)
		if up == place {
			return false
		}
		place = up
	}
}

func sameFile(a, b string) bool {
	x, errA := os.Stat(a)
	y, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(x, y)
}
