package witness

import (
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// What a checkpoint says and what its log signed is one text, whoever parsed it, and a line that cannot be
// made for one of our keys is not left out: nothing is cosigned.
func TestNothingIsCosignedBesideTheTextThatTheLogSigned(t *testing.T) {
	key := trusttest.NewWitness("witness.example/w", trust.Ed25519Cosigner)
	w := &Witness{cosigners: []*trust.Cosigner{key.Cosigner}, now: func() time.Time { return earliestClock.Add(time.Hour) }}
	signed := func(c trust.Checkpoint, other string) *trust.Checkpoint {
		c.Signed = []byte(string(c.Text()) + other + "\n— x y\n")
		return &c
	}
	good := trust.Checkpoint{Origin: "log.example", Root: trust.EmptyRoot}
	next, lines, err := w.cosign(&state{}, signed(good, ""))
	if err != nil || next == nil || !strings.Contains(string(lines), "witness.example/w") {
		t.Fatalf("%q, %v", lines, err)
	}
	noTree := good
	noTree.Root[0] ^= 1
	for name, cp := range map[string]*trust.Checkpoint{
		"a line that the text does not have": signed(good, "extension\n"),
		"nothing that was signed":            {Origin: good.Origin, Root: good.Root},
		"an empty tree with a root":          signed(noTree, ""),
	} {
		if next, lines, err := w.cosign(&state{}, cp); err == nil || next != nil || lines != nil {
			t.Errorf("%s: %v, %q, %v", name, next, lines, err)
		}
	}
}
