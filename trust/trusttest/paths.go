package trusttest

import "strings"

// BadTilePaths are other spellings of tiles, files beside tiles, and ways out: no path of tlog-tiles.
var BadTilePaths = []string{
	"", "tile", "tile/", "tile/0", "tile/0/", "tile//000", "/tile/0/000", "tile/0/000/", "tile/0//000", "tile/0/000.p", "tile/0/000.p/",
	"tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/257", "tile/0/000.p/01", "tile/0/000.p/+1", "tile/0/000.p/-1", "tile/0/000.p/1 ",
	"tile/0/000.p/1/", "tile/0/000.p/99999999999999999999", "tile/00/000", "tile/+0/000", "tile/-1/000", "tile/64/000", "tile/256/000",
	"tile/x/000", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/1000", "tile/0/x000/000", "tile/0/001/000", "tile/0/x001", "tile/0/x1/000",
	"tile/0/x001/x000", "tile/0/X001/000", "tile/0/-01", "tile/0/+01", "tile/0/٠٠٠", "tile/0/000\x00", "tile/0/000\n", "tile/0/000.P/1",
	"tile/data/000", "tile/8/data/000", "tile/entries", "tile/entries/", "tile/entries/entries/000", "tile/entries/0/000", "tile/0/entries/000",
	"tile/0/../0/000", "tile/../.state/treeState", "tile/0/./000", "../tile/0/000", "tile/0/000/..", `tile\0\000`, "tile/0/%30%30%30",
	".state/treeState", ".state", "checkpoint", "checkpoint123456789", ".probe", "tile/0/0001234567", "tile/0/000.p/512345", "identity", "C:tile/0/000",
	"tile/0/x001/x002/x003/x004/x005/x006/x007/x008/x009/x010/x011/x012/x013/014",
	"tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/" + strings.Repeat("x999/", 1000) + "999",
}
