package pack

import (
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/lock"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/packtest"
)

// An id must not speak in the words of the outputs that it stands in.
// LCK-6
func TestAnIDThatIsMoreThanAnIDIsQuotedWarnedAboutAndRefusedInLocks(t *testing.T) {
	for _, id := range []string{"acme (built in), x", "acme, own", "a b", "caf\u00e9", "acme)", "x:y"} {
		card := packtest.Always(t, id, "critical")
		if label := card.Label(); label == id || label[0] != '"' {
			t.Errorf("%q is shown as %s", id, label)
		}
		if _, err := lock.New(lock.Spec{Cards: []claim.Card{card}, At: builtAt}); err == nil || !strings.Contains(err.Error(), "expected letters") && !strings.Contains(err.Error(), "not 1 to 256 printable ASCII") {
			t.Errorf("%q in a lock: %v", id, err)
		}
		s := smallSpec(t)
		s.Cards = []claim.Card{card}
		if r := mustVerify(t, mustBuild(t, s).FS(), Options{Now: builtAt}); r.Integrity != Pass || !slices.ContainsFunc(r.Warnings, func(f manifest.Finding) bool { return f.Code == manifest.WarnLookalike }) {
			t.Errorf("%q: %v", id, r.Warnings)
		}
	}
	for _, id := range []string{"acme.calls", "A-1_b.c"} {
		if (claim.Card{ID: id}).Label() != id {
			t.Errorf("%q is quoted", id)
		}
	}
}

// VFY-47
func TestAResultSaysWhoseItsChecksAre(t *testing.T) {
	s := smallSpec(t)
	own := packtest.Always(t, "guardian-enforcement", "critical")
	s.Cards = []claim.Card{packtest.Builtin("receipt_completeness"), own}
	files := mustBuild(t, s).FS()
	lock, err := lock.New(lock.Spec{Cards: []claim.Card{packtest.Always(t, "acme.always", "critical")}, At: builtAt})
	if err != nil {
		t.Fatal(err)
	}
	pinned := smallSpec(t)
	pinned.Cards = []claim.Card{packtest.Always(t, "acme.always", "critical")}
	pinnedFiles := mustBuild(t, pinned).FS()
	for name, c := range map[string]struct {
		files memoryFS
		o     Options
		want  []CardSource
		warns bool
	}{
		"alone":             {files.(memoryFS), Options{}, []CardSource{SourceBuiltIn, SourceSigner}, true},
		"given":             {files.(memoryFS), Options{Cards: []claim.Card{own}}, []CardSource{SourceBuiltIn, SourceGiven}, true},
		"pinned":            {pinnedFiles.(memoryFS), Options{Lock: lock}, []CardSource{SourceLock}, false},
		"unpinned":          {pinnedFiles.(memoryFS), Options{}, []CardSource{SourceSigner}, false},
		"pinned and given":  {pinnedFiles.(memoryFS), Options{Lock: lock, Cards: pinned.Cards}, []CardSource{SourceLock}, false},
		"another of the id": {files.(memoryFS), Options{Cards: []claim.Card{packtest.Always(t, "guardian-enforcement", "warning")}}, []CardSource{SourceBuiltIn, SourceSigner}, true},
	} {
		c.o.Now = builtAt
		r := mustVerify(t, c.files, c.o)
		warned := slices.ContainsFunc(r.Warnings, func(f manifest.Finding) bool { return f.Code == manifest.WarnLookalike })
		if !slices.Equal(r.Claims.Sources, c.want) || warned != c.warns || r.Integrity != Pass {
			t.Errorf("%s: %q, warned %t: %v", name, r.Claims.Sources, warned, r.Warnings)
		}
	}
	broken := files.(memoryFS)
	broken[manifest.TranscriptName] = []byte("x")
	if r := mustVerify(t, broken, Options{Now: builtAt}); r.Claims.Sources != nil || r.Claims.Cards != nil {
		t.Errorf("of a pack that is not intact: %v", r.Claims.Sources)
	}
}
