package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/tiles"
)

// The history of checkpoints lies in segments of 256 notes, each after its length as a big-endian uint16. See archive.

// segmentPath is the path of a segment in the archive's directory.
func segmentPath(n int64) string {
	return strings.TrimPrefix(tiles.CheckpointPath(n, tiles.Width), checkpointsPath)
}

// sizeOf is how many bytes the notes have in a segment.
func sizeOf(notes [][]byte) (size int64) {
	for _, note := range notes {
		size += 2 + int64(len(note))
	}
	return size
}

// splitNotes splits what can be split of a segment, at most 256 notes.
func splitNotes(data []byte) (notes [][]byte, rest []byte) {
	for len(notes) < tiles.Width {
		one, after, err := tiles.SplitBundle(data, 1)
		if err != nil {
			break
		}
		notes, data = append(notes, one[0]), after
	}
	return notes, data
}

// listSegments lists the numbers of all segments, ascending, and what else lies there.
func listSegments(root *os.Root) (numbers []int64, strange []string, err error) {
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if n, width, ok := tiles.ParseCheckpointPath(checkpointsPath + path); ok && width == tiles.Width {
			numbers = append(numbers, n)
		} else if !strings.HasPrefix(d.Name(), ".assay_tmp_") { // of a write that a crash cut off
			strange = append(strange, path)
		}
		return nil
	})
	slices.Sort(numbers)
	return numbers, strange, err
}

// readSegment returns the notes of a segment, which is full unless it is the last one, and what is wrong with it: behind them
// if it is the last one.
func readSegment(root *os.Root, n int64, last bool) ([][]byte, error) {
	data, err := readRegular(root, segmentPath(n), tiles.MaxBundle)
	if err != nil {
		return nil, missing(err)
	}
	notes, rest := splitNotes(data)
	switch {
	case len(rest) > 0:
		return notes, errors.New("it ends within a note")
	case len(notes) < tiles.Width && !last:
		return notes, fmt.Errorf("it has %d notes, and others follow", len(notes))
	}
	return notes, nil
}

// lastGood is the last of the notes that the log has signed, and its place; -1 and nil if none is.
func lastGood(keys *trust.Policy, notes [][]byte) (at int, cp *trust.Checkpoint) {
	for i, note := range slices.Backward(notes) {
		if cp, err := keys.OpenLogSignature(note); err == nil {
			return i, cp
		}
	}
	return -1, nil
}

// keyOnly is the policy that believes the log of a vkey without any witness.
func keyOnly(vkey string) (*trust.Policy, error) {
	return trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: vkey}}, nil, 0))
}

func treeOf(cp *trust.Checkpoint) tree { return tree{cp.Size, cp.Root} }

// follows returns the tree of a note of this log that may stand behind one of the tree last, which is none before the first.
func follows(keys *trust.Policy, last tree, note []byte) (tree, error) {
	cp, err := keys.OpenLogSignature(note)
	if err != nil {
		return tree{}, err
	}
	if last != (tree{}) && cp.Size <= last.Size { // a tree is kept once
		return tree{}, fmt.Errorf("its tree of %v follows one of %v", treeOf(cp), last)
	}
	return treeOf(cp), nil
}
