package interop

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/claim"
	"github.com/Haserjian/assay-ledger/pack/entry"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/site"
)

// SIT-1, SIT-3: the site of a live ledger, copied and served by somebody else's server under a path, is the log: torchwood, our
// client, fsck and the verifier of packs read it as they read the ledger.
func TestASiteThatAForeignServerServesIsTheLog(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		met("http.server", false)
		t.Skip("SKIP http.server: no python3")
	}
	w := newWorld(t)
	var packs []string
	for i := range 5 {
		dir := filepath.Join(t.TempDir(), "pack")
		spec := pack.Spec{RunID: fmt.Sprint("run_", i), Now: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), Signer: newSigner(fmt.Sprint(i)), Cards: claim.BuiltinCards()[:2],
			Receipts: []jcs.Value{jcs.Obj(jcs.M("receipt_id", jcs.Str("r")), jcs.M("type", jcs.Str("model_call")), jcs.M("schema_version", jcs.Str("3.0")),
				jcs.M("timestamp", jcs.Str("2026-01-15T10:00:00.000000+00:00")), jcs.M("seq", jcs.Int(0)))}}
		if err := must(pack.Build(spec))(t).WriteDir(dir); err != nil {
			t.Fatal(err)
		}
		if status, body := w.post(t, must(os.ReadFile(filepath.Join(dir, "pack_manifest.json")))(t)); status != http.StatusCreated {
			t.Fatalf("status %d: %s", status, body)
		}
		packs = append(packs, dir)
	}
	built := filepath.Join(t.TempDir(), "built")
	b := must(site.Build(t.Context(), site.Config{Log: client.Files{Client: &client.Client{URL: w.ledgerURL}}, Out: built, Policy: w.policy}))(t)
	if b.Size < 5 || b.Checkpoints < 1 || b.Unparsed > 0 {
		t.Fatalf("%+v", b)
	}
	host := t.TempDir()
	if err := os.CopyFS(filepath.Join(host, "some", "repo"), os.DirFS(built)); err != nil {
		t.Fatal(err)
	}
	url := pythonServer(t, host) + "/some/repo"

	// Ours: fsck, every file, every entry.
	files := client.Files{Client: &client.Client{URL: url}}
	cp, err := site.Fsck(t.Context(), files, w.policy, func(f site.Finding) { t.Errorf("fsck: %s %s", f.Path, f.Problem) })
	if err != nil || cp.Size != b.Size {
		t.Fatal(err)
	}
	checked := must(site.Check(t.Context(), site.CheckConfig{Site: files, Policy: w.policy}))(t)
	for _, f := range checked.Damaged {
		t.Errorf("check: %s %s", f.Path, f.Problem)
	}
	if checked.Size != b.Size || checked.Files < 50 {
		t.Errorf("%+v", checked)
	}
	reader := &client.Client{URL: url, Policy: w.policy}
	read := 0
	for _, err := range reader.Entries(t.Context(), must(reader.Checkpoint(t.Context()))(t), 0) {
		if err != nil {
			t.Fatal(err)
		}
		read++
	}
	if int64(read) != b.Size {
		t.Errorf("the client reads %d entries", read)
	}

	// Theirs: torchwood verifies the checkpoint, walks the log and makes the proofs that our verifier judges packs by.
	met("torchwood", true)
	met("http.server", true)
	fetcher := must(torchwood.NewTileFetcher(url))(t)
	note := must(fetcher.ReadEndpoint(t.Context(), "checkpoint"))(t)
	theirs, _, err := torchwood.VerifyCheckpoint(note, must(torchwood.ParsePolicy(w.policy.Text()))(t))
	if err != nil {
		t.Fatal(err)
	}
	walker := must(torchwood.NewClient(fetcher))(t)
	leaves := map[string]int64{}
	for index, leaf := range walker.AllEntries(t.Context(), theirs.Tree, 0) {
		e := must(entry.Parse(leaf))(t)
		leaves[e.PackID] = index
	}
	if err := walker.Err(); err != nil || int64(len(leaves)) != b.Size {
		t.Fatalf("torchwood reads %d entries, %v", len(leaves), err)
	}
	for _, dir := range packs {
		index, there := leaves[verify(t, dir, pack.Options{Now: time.Now()}).Manifest.PackID]
		if !there {
			t.Fatalf("%s is not in the log", dir)
		}
		leaf, path, err := walker.Entry(t.Context(), theirs.Tree, index)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(path, theirs.N, theirs.Hash, index, tlog.RecordHash(leaf)); err != nil {
			t.Error(err)
		}
		proof := torchwood.FormatProofWithExtraData(index, leaf, path, note)
		r := verify(t, dir, pack.Options{Now: time.Now(), Policy: w.policy, TSARoots: w.roots, Proof: proof, RequireAnchor: true})
		if r.Anchor.Verdict != pack.Pass || r.Anchor.Time == nil || r.ExitCode() != 0 {
			t.Errorf("anchor %s, exit %d: %v", r.Anchor.Verdict, r.ExitCode(), r.Findings)
		}
	}
}

// pythonServer serves a folder as python -m http.server does, until the test ends.
func pythonServer(t *testing.T, dir string) string {
	t.Helper()
	server := exec.CommandContext(t.Context(), "python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", dir)
	out := must(server.StdoutPipe())(t)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	line := must(bufio.NewReader(out).ReadString('\n'))(t) // Serving HTTP on 127.0.0.1 port 35789 (http://127.0.0.1:35789/) ...
	m := regexp.MustCompile(`port (\d+)`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("http.server said %q", line)
	}
	return "http://127.0.0.1:" + m[1]
}
