package pack

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
	"github.com/Haserjian/assay-ledger/pack/manifest"
)

// VFY-10: what fails is said of the step that found it, and of no other.
func TestAFindingNamesTheStageThatMadeIt(t *testing.T) {
	files := smallPack(t)
	m := jcstest.Parse(t, string(files[manifest.Name]))
	report := jcstest.Parse(t, string(files[manifest.ReportName]))
	signed := func(changed memoryFS, m jcs.Value) func(string) string {
		return func(string) string { return writePack(t, resign(t, maps.Clone(changed), m, testSigner)) }
	}
	reported := func(text []byte) func(string) string {
		changed := maps.Clone(files)
		changed[manifest.ReportName] = text
		return signed(changed, m)
	}
	link := func(name string) func(string) string {
		return func(dir string) string {
			path, aside := filepath.Join(dir, name), filepath.Join(t.TempDir(), "aside")
			if err := os.Rename(path, aside); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(aside, path); err != nil {
				t.Fatal(err)
			}
			return dir
		}
	}
	for _, test := range []struct {
		what   string
		make   func(dir string) string
		stages []manifest.Stage
	}{
		{"a manifest that is a link", link(manifest.Name), []manifest.Stage{manifest.StageSchema}},
		{"a transcript that is a link", link(manifest.TranscriptName), []manifest.Stage{manifest.StagePaths}},
		{"_unsigned that is a file", func(dir string) string {
			if err := os.WriteFile(filepath.Join(dir, manifest.UnsignedName), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			return dir
		}, []manifest.Stage{manifest.StagePaths}},
		{"a transcript with other bytes", func(dir string) string {
			if err := os.WriteFile(filepath.Join(dir, manifest.TranscriptName), []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
			return dir
		}, []manifest.Stage{manifest.StageFiles}},
		{"a report that is no JSON", reported([]byte("{")), []manifest.Stage{manifest.StageReport}},
		{"a report that is no object", reported([]byte("[]")), []manifest.Stage{manifest.StageReport}},
		{"a report with a name twice", reported([]byte(`{"a":1,"a":1}`)), []manifest.Stage{manifest.StageReport}},
		{"a report of another run", reported(jcstest.Plain(jcstest.Set(report, "run_id", jcs.Str("x")))), []manifest.Stage{manifest.StageReport}},
		{"receipts that fail, says the signer", signed(files, jcstest.Set(m, "attestation.receipt_integrity", jcs.Str("FAIL"))),
			[]manifest.Stage{manifest.StageAttestation, manifest.StageReceipts, manifest.StageReport}},
		{"claims without a fingerprint", signed(files, jcstest.Set(m, "attestation.discrepancy_fingerprint", jcs.Value{})),
			[]manifest.Stage{manifest.StageAttestation, manifest.StageClaims, manifest.StageReport}},
	} {
		r := verifyDir(t, test.make(writePack(t, files)), Options{Now: builtAt})
		var stages []manifest.Stage
		for _, f := range r.Findings {
			stages = append(stages, f.Stage)
		}
		slices.Sort(stages)
		slices.Sort(test.stages)
		if got := slices.Compact(stages); !slices.Equal(got, test.stages) {
			t.Errorf("%s: %q, want %q: %v", test.what, got, test.stages, r.Findings)
		}
	}
}

func TestEveryFindingOfTheCorpusBelongsToAChannel(t *testing.T) {
	dirs, err := filepath.Glob("../conformance/corpus/packs/*")
	if err != nil || len(dirs) < 100 {
		t.Fatalf("%d packs, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue // an archive
		}
		r := verifyDir(t, dir, Options{Now: testNow})
		for _, f := range slices.Concat(r.Findings, r.Warnings) {
			if f.Channel == "" || f.Stage != "" && f.Channel != manifest.ChannelIntegrity {
				t.Errorf("%s: %+v", dir, f)
			}
		}
		for _, f := range r.Findings.In(manifest.ChannelIntegrity) {
			if f.Stage == "" && f.Code != manifest.WarnMore {
				t.Errorf("%s: %+v is of no stage", dir, f)
			}
		}
	}
}
