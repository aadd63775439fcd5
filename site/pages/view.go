package pages

import (
	"time"

	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/trust"
)

// Site is what all pages of one site have in common. The zero value is the site of a log that published nothing.
type Site struct {
	Origin string // of the log, which is the name of its key
	VKey   string // the log's key
	Policy string // text of the file policy: the ledger's own word about whom to believe

	// Checkpoint is the newest one, and Checkpoints how many the history holds, this one included.
	Checkpoint  *trust.Checkpoint // nil: nothing is published yet
	Checkpoints int64

	HasRoots    bool // there is a file tsa-roots.pem
	HasContact  bool // there is a file .well-known/security.txt
	Equivocated int  // pack roots that are known to stand in several manifests

	PageSHA256, ScriptSHA256 string // of verify.html and of the script in it, in hex; empty: the site has none
}

// Size is the number of entries.
func (s Site) Size() int64 {
	if s.Checkpoint == nil {
		return 0
	}
	return s.Checkpoint.Size
}

// Home is index.html.
type Home struct {
	Site
	Growth []Day // oldest first
	Newest []Row // newest first; the page shows five
}

// Day is the size of the log at the end of a UTC day.
type Day struct {
	Date time.Time
	Size int64
}

// Row is an entry of a list.
type Row struct {
	Index   int64
	Leaf    []byte
	Entry   *entry.Entry // nil: the leaf is not an entry
	Problem string       // of a leaf that is not an entry: why
	Time    *Time        // nil: the entry has no timestamp token
	Twins   []int64      // other entries with its pack_root_sha256
}

// Time is what the timestamp token of an entry says.
type Time struct {
	Until         time.Time // the pack existed by then: the token's time and its accuracy, which is a second at least
	By            string    // subject of the authority's certificate
	Contradiction string    // how it contradicts the pack's own end, by no more than a clock may be wrong; empty: it does not
	Problem       string    // that the token was not believed, or not checked, and why; empty: it was verified to the roots of the site
}

// Entries is one page of the newest entries: entries/index.html, entries/2.html and so on.
type Entries struct {
	Site
	Page, Pages int // from 1
	Rows        []Row
}

// Signers is signer/index.html: who signed the newest entries, and without a key in the address the list of them.
type Signers struct {
	Site
	Known []Known
}

// Sources is source/index.html: the repositories that the newest entries name.
type Sources struct {
	Site
	Known []Known
}

// Known is a signer or a repository of the newest entries.
type Known struct {
	Key   string // what the address says: fingerprint or owner/name
	Names []string
	Count int   // of the newest entries
	Last  int64 // index of the last
}

// Entry is entry/index.html, which finds and proves any entry in the reader's browser.
type Entry struct{ Site }

// Witnesses is witnesses/index.html.
type Witnesses struct {
	Site
	Witnesses []Witness // in the order of the policy
}

// Witness is a witness of the policy and the last that is known of it.
type Witness struct {
	trust.PolicyWitness
	Last      time.Time // of its last cosignature that is known; zero: none
	LastSize  int64     // size of the tree that it cosigned then
	Late      bool      // that one came after its checkpoint was published: the history does not have it
	Of, Given int       // of the last Of checkpoints Given carried its cosignature when they were published
}

// Checkpoints is checkpoints/index.html.
type Checkpoints struct {
	Site
	Newest []Published // newest first
}

// Published is a checkpoint of the history.
type Published struct {
	Number     int64 // in the history, from 0
	Checkpoint *trust.Checkpoint
	Problem    string // why it does not open under today's policy; empty: it does
}

// Equivocation is equivocation/index.html: pack roots that stand in several manifests.
type Equivocation struct {
	Site
	Cases []Case // newest first
	Whole bool   // all entries were compared, not only the newest
}

// Case is one pack_root_sha256 with its entries, oldest first.
type Case struct {
	PackRoot trust.Digest
	Rows     []Row
}

// Manifests is how many manifests the entries are about: one may be logged several times.
func (c Case) Manifests() int {
	seen := map[trust.Digest]bool{}
	for _, r := range c.Rows {
		if r.Entry != nil {
			seen[r.Entry.ManifestSHA256] = true
		}
	}
	return len(seen)
}

// Verify is verify/index.html: how to check the log without this site.
type Verify struct{ Site }

// Limits is limits/index.html: what a log does not prove, and what a mirror of it can do.
type Limits struct{ Site }
