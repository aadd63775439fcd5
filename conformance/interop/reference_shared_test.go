package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// home makes a home directory in which both tools keep one store and one set of keys.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".assay"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runsOfBoth: each tool runs a program that emits with the other's emitter, and packs what it emitted.
func runsOfBoth(t *testing.T, w *reference) {
	emitter := must(filepath.Abs(filepath.Join("python", "emit.py")))(t)
	pythonEmits := []string{w.python, "-I", emitter, "3", "python"}
	goEmits := []string{w.assay, "emit", "model_call", "--data", `{"by":"go"}`}
	exit := func(code string) []string { return []string{"sh", "-c", "exit " + code} }
	both := []string{"sh", "-c", strings.Join(pythonEmits, " ") + " && " + w.assay + " emit model_call && exit 7"}
	for _, test := range []struct {
		name    string
		flags   []string
		command []string
	}{
		{"emits with Python", []string{"-c", "receipt_completeness"}, pythonEmits},
		{"emits with ours", []string{"-c", "receipt_completeness", "-c", "timestamp_ordering"}, goEmits},
		{"a check fails", []string{"-c", "guardian_enforcement"}, goEmits},
		{"emits with both, then fails", []string{"-c", "receipt_completeness"}, both},
		{"a mode", []string{"-m", "enforced"}, goEmits},
		{"nothing was recorded", nil, exit("0")},
		{"nothing was recorded, and that is allowed", []string{"--allow-empty"}, exit("0")},
		{"no such card", []string{"-c", "no_such_card"}, goEmits},
		{"no such mode", []string{"-m", "yolo"}, goEmits},
		{"no such program", nil, []string{"/nonexistent/program"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := home(t)
			run := func(tool func(*testing.T, string, ...string) answer, out string, flags ...string) answer {
				args := slices.Concat([]string{"run", "-o", filepath.Join(dir, out)}, test.flags, flags, []string{"--"}, test.command)
				return tool(t, dir, args...)
			}
			python, pythonJSON := run(w.theirs, "python"), run(w.theirs, "python.json", "--json")
			// The reference records nothing of the run itself.
			ours, oursJSON := run(w.ours, "ours", "--no-session"), run(w.ours, "ours.json", "--no-session", "--json")
			if !w.compare(t, "run/"+test.name, exits(python.Exit, pythonJSON.Exit), exits(ours.Exit, oursJSON.Exit)) {
				t.Logf("Python: %v\nours: %v", python, ours)
			}
			for _, out := range []string{"python", "ours", "python.json", "ours.json"} {
				if _, err := os.Stat(filepath.Join(dir, out)); err == nil {
					w.judge(t, "run/"+test.name+", pack "+out, filepath.Join(dir, out))
				}
			}
		})
	}
}

// storesShared: receipts of both emitters go to one store, in turn and at once. None is lost, every
// _store_seq is given once, and each tool packs what both recorded.
func storesShared(t *testing.T, w *reference) {
	dir := home(t)
	emitter := must(filepath.Abs(filepath.Join("python", "emit.py")))(t)
	emit := func(python bool, trace, label string, n int) func() answer {
		env := []string{"ASSAY_TRACE_ID=" + trace}
		if python {
			return w.startWith(t, dir, env, w.python, "-I", emitter, fmt.Sprint(n), label)
		}
		script := fmt.Sprintf(`for n in $(seq 0 %d); do %s emit model_call --ids --data "{\"by\":\"%s\",\"n\":$n}" || exit 1; done`, n-1, w.assay, label)
		return w.startWith(t, dir, env, "sh", "-c", script)
	}
	expected := map[string][]string{} // trace to receipt ids
	record := func(trace string, a answer) {
		t.Helper()
		expected[trace] = append(expected[trace], strings.Fields(a.ok(t).Out)...)
	}
	const traceForm = "trace_20260115T10000%d_5f2c9a01"
	for turn := range 6 {
		trace := fmt.Sprintf(traceForm, 0)
		record(trace, emit(turn%2 == 0, trace, fmt.Sprint("turn ", turn), 2)())
	}
	var waits []func()
	for i := range 16 {
		trace := fmt.Sprintf(traceForm, 1+i%4/2*2+i%2) // both emitters in every trace
		wait := emit(i/8 == 0, trace, fmt.Sprint("process ", i), 5)
		waits = append(waits, func() { record(trace, wait()) })
	}
	for _, wait := range waits {
		wait()
	}
	seqs, ids := map[int]bool{}, map[string]bool{}
	for trace, want := range expected {
		var found []string
		for _, receipt := range readTrace(t, filepath.Join(dir, ".assay"), trace) {
			if seqs[receipt.StoreSeq] {
				t.Errorf("_store_seq %d was given twice", receipt.StoreSeq)
			}
			seqs[receipt.StoreSeq] = true
			found = append(found, receipt.ID)
			ids[receipt.ID] = true
		}
		slices.Sort(found)
		slices.Sort(want)
		if !slices.Equal(found, want) {
			t.Errorf("trace %s holds %d receipts, %d were emitted", trace, len(found), len(want))
		}
	}
	if len(expected) != 5 || len(seqs) != 6*2+16*5 || len(ids) != len(seqs) {
		t.Errorf("%d receipts with %d numbers in %d traces, expected %d in 5", len(ids), len(seqs), len(expected), 6*2+16*5)
	}
	for trace := range expected {
		for name, tool := range map[string]func(*testing.T, string, ...string) answer{"python": w.theirs, "ours": w.ours} {
			out := filepath.Join(dir, name+"_"+trace)
			tool(t, dir, "proof-pack", trace, "-o", out, "-c", "receipt_completeness").ok(t)
			w.judge(t, "store/"+trace+" packed by "+name, out, "--require-claim-pass")
		}
		// Same receipts in the same order, whoever packed them.
		python := must(os.ReadFile(filepath.Join(dir, "python_"+trace, "receipt_pack.jsonl")))(t)
		ours := must(os.ReadFile(filepath.Join(dir, "ours_"+trace, "receipt_pack.jsonl")))(t)
		if !bytes.Equal(python, ours) || bytes.Count(ours, []byte("\n")) != len(expected[trace]) {
			t.Errorf("trace %s is packed as %d bytes there and %d here", trace, len(python), len(ours))
		}
	}
}

type stored struct {
	ID       string `json:"receipt_id"`
	StoreSeq int    `json:"_store_seq"`
}

// readTrace reads a trace without either tool.
func readTrace(t *testing.T, store, trace string) (receipts []stored) {
	t.Helper()
	files := must(filepath.Glob(filepath.Join(store, "*", trace+".jsonl")))(t)
	if len(files) != 1 {
		t.Fatalf("trace %s has %d files", trace, len(files))
	}
	f := must(os.Open(files[0]))(t)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		receipt := stored{StoreSeq: -1}
		if err := json.Unmarshal(lines.Bytes(), &receipt); err != nil || receipt.StoreSeq < 0 || receipt.ID == "" {
			t.Errorf("%s: %q: %v", trace, lines.Text(), err)
		}
		receipts = append(receipts, receipt)
	}
	return receipts
}

// keysShared: a key that either tool made, exported or rotated signs for both.
func keysShared(t *testing.T, w *reference) {
	tools := map[string]func(*testing.T, string, ...string) answer{"python": w.theirs, "ours": w.ours}
	emitted := func(t *testing.T, dir string) string {
		trace := "trace_20260115T100000_5f2c9a01"
		w.startWith(t, dir, []string{"ASSAY_TRACE_ID=" + trace}, w.assay, "emit", "model_call")().ok(t)
		return trace
	}
	sign := func(t *testing.T, dir, by string) string { // with the active key; returns its fingerprint
		t.Helper()
		out := filepath.Join(t.TempDir(), "pack")
		if by == "python" { // its proof-pack takes another key than the active one, its run does not
			w.theirs(t, dir, "run", "-o", out, "--no-generate-key", "--", w.assay, "emit", "model_call").ok(t)
		} else {
			w.ours(t, dir, "proof-pack", emitted(t, dir), "-o", out, "--no-generate-key").ok(t)
		}
		for _, tool := range tools {
			tool(t, dir, "verify-pack", out).ok(t)
		}
		var m struct {
			Fingerprint string `json:"signer_pubkey_sha256"`
			Signer      string `json:"signer_id"`
		}
		if err := json.Unmarshal(must(os.ReadFile(filepath.Join(out, "pack_manifest.json")))(t), &m); err != nil {
			t.Fatal(err)
		}
		return m.Signer + " " + m.Fingerprint
	}
	for maker, make := range tools {
		t.Run("made by "+maker, func(t *testing.T) {
			dir := home(t)
			make(t, dir, "key", "generate", "ci-key").ok(t)
			python, ours := sign(t, dir, "python"), sign(t, dir, "ours")
			w.compare(t, "keys/made by "+maker+", signs", word(python, ours), "equal")
			if !strings.HasPrefix(ours, "ci-key ") {
				t.Errorf("signed as %s", ours)
			}
			make(t, dir, "key", "rotate", "--new-signer", "next").ok(t)
			python, ours = sign(t, dir, "python"), sign(t, dir, "ours")
			w.compare(t, "keys/rotated by "+maker+", signs", word(python, ours), "equal")
			if !strings.HasPrefix(ours, "next ") {
				t.Errorf("signed as %s", ours)
			}
			exported := filepath.Join(dir, "exported")
			make(t, dir, "key", "export", "ci-key", "--private", "-o", exported).ok(t)
			for _, importer := range []string{"ours", "python"} { // ours first: it finds the modes as they were left
				take := tools[importer]
				other := home(t)
				private := filepath.Join(exported, "ci-key.key.b64")
				open := take(t, home(t), "key", "import", filepath.Join(exported, "ci-key.pub.b64"), "--private", private)
				w.compare(t, "keys/exported by "+maker+", imported by "+importer+" as it is", "exit 0", fmt.Sprint("exit ", open.Exit))
				if err := os.Chmod(private, 0o600); err != nil {
					t.Fatal(err)
				}
				take(t, other, "key", "import", filepath.Join(exported, "ci-key.pub.b64"), "--private", private, "--set-active").ok(t)
				signer := sign(t, other, importer)
				w.compare(t, "keys/exported by "+maker+", imported by "+importer, word(signer, "ci-key "+fingerprintFile(t, exported)), "equal")
			}
		})
	}
}

func word(a, b string) string {
	if a == b {
		return "equal"
	}
	return a + " is not " + b
}

func fingerprintFile(t *testing.T, exported string) string {
	t.Helper()
	return strings.TrimSpace(string(must(os.ReadFile(filepath.Join(exported, "ci-key.fingerprint")))(t)))
}

// locksExchanged: what one tool wrote, both read, and hold packs to.
func locksExchanged(t *testing.T, w *reference) {
	dir := home(t)
	alice, mallory := newSigner("alice"), newSigner("mallory")
	packs := map[string]string{}
	for name, s := range map[string]shape{
		"one card":       {name: "one card", receipts: []string{`{}`}, cards: []string{"receipt_completeness"}},
		"two cards":      {name: "two cards", receipts: []string{`{}`}, cards: []string{"receipt_completeness", "guardian_enforcement"}},
		"no card":        {name: "no card", receipts: []string{`{}`}},
		"custom card":    {name: "custom card", receipts: []string{`{}`}, cards: []string{"custom.json"}},
		"mallory's pack": {name: "mallory's pack", receipts: []string{`{}`}, cards: []string{"receipt_completeness"}},
	} {
		key := alice
		if strings.HasPrefix(name, "mallory") {
			key = mallory
		}
		packs[name] = filepath.Join(dir, strings.ReplaceAll(name, " ", "_"))
		if err := must(s.buildOurs(t, key))(t).WriteDir(packs[name]); err != nil {
			t.Fatal(err)
		}
	}
	card := filepath.Join(dir, "custom.json")
	if err := os.WriteFile(card, []byte(cardFiles["custom.json"]), 0o600); err != nil {
		t.Fatal(err)
	}
	fingerprint := alice.fingerprint()
	tools := map[string]func(*testing.T, string, ...string) answer{"python": w.theirs, "ours": w.ours}
	for _, test := range []struct {
		name  string
		write []string
		by    []string // who can write it; nil: both
	}{
		{"one card", []string{"write", "--cards", "receipt_completeness"}, nil},
		{"two cards", []string{"write", "--cards", "receipt_completeness,guardian_enforcement"}, nil},
		{"every card", []string{"write", "--cards", "guardian_enforcement,receipt_completeness,no_breakglass,timestamp_ordering,schema_consistency,coverage_contract"}, nil},
		{"one card, one signer", []string{"write", "--cards", "receipt_completeness", "--signer", fingerprint}, nil},
		{"init", []string{"init"}, nil},
		{"init from one card", []string{"init", "--from-pack", packs["one card"]}, nil},
		{"init from two cards", []string{"init", "--from-pack", packs["two cards"]}, nil},
		{"custom card", []string{"write", "--cards", card}, []string{"ours"}},
	} {
		for by, tool := range tools {
			if test.by != nil && !slices.Contains(test.by, by) {
				continue
			}
			name := fmt.Sprintf("lock/%s, by %s", test.name, by)
			lock := filepath.Join(dir, strings.NewReplacer(" ", "_", "/", "_", ",", "").Replace(name)+".lock")
			tool(t, dir, append(append([]string{"lock"}, test.write...), "-o", lock)...).ok(t)
			w.judgeLock(t, name, lock)
			for pack, dir := range packs {
				if pack == test.name || pack == "one card" || strings.Contains(test.name, "signer") && pack == "mallory's pack" {
					w.judge(t, name+", on "+pack, dir, "--lock", lock)
				}
			}
		}
	}
}

// judgeLock has both tools check a lock by itself.
func (w *reference) judgeLock(t *testing.T, name, lock string) {
	t.Helper()
	check := func(tool func(*testing.T, string, ...string) answer) string {
		return exits(tool(t, w.home, "lock", "check", lock).Exit, tool(t, w.home, "lock", "check", lock, "--json").Exit)
	}
	w.compare(t, name+", checked", check(w.theirs), check(w.ours))
}

// vectorLocks shows the verdicts on the locks of the specification side by side. They were written by
// 1.24.0 and admit no older tool, so the one that is compared here would refuse them all: it gets them
// with 1.23.0 as the lowest version.
func vectorLocks(t *testing.T, w *reference) {
	vectors := sharedAloud(t)
	files := must(filepath.Glob(filepath.Join(vectors, "locks", "*.lock")))(t)
	if len(files) < 19 {
		t.Fatalf("%d locks", len(files))
	}
	for _, file := range files {
		name := "locks/" + strings.TrimSuffix(filepath.Base(file), ".lock")
		text := bytes.ReplaceAll(must(os.ReadFile(file))(t), []byte(`"assay_version_min": "1.24.0"`), []byte(`"assay_version_min": "1.23.0"`))
		lock := filepath.Join(t.TempDir(), "assay.lock")
		if err := os.WriteFile(lock, text, 0o600); err != nil {
			t.Fatal(err)
		}
		w.judgeLock(t, name, lock)
		w.judge(t, name+", on pass_custom_ids", filepath.Join(vectors, "packs", "pass_custom_ids"), "--lock", lock)
	}
	lock := filepath.Join(vectors, "locks", "rc_any.lock")
	w.judge(t, "locks/as 1.24.0 wrote it, on pass_custom_ids", filepath.Join(vectors, "packs", "pass_custom_ids"), "--lock", lock)
	w.judge(t, "locks/no lock there, on pass_custom_ids", filepath.Join(vectors, "packs", "pass_custom_ids"), "--lock", filepath.Join(vectors, "locks", "none.lock"))
	for _, pack := range []string{"tamper_receipt_byte", "claimfail_guardian", "pass_noclaims"} {
		text := bytes.ReplaceAll(must(os.ReadFile(lock))(t), []byte(`"1.24.0"`), []byte(`"1.23.0"`))
		own := filepath.Join(t.TempDir(), "assay.lock")
		if err := os.WriteFile(own, text, 0o600); err != nil {
			t.Fatal(err)
		}
		w.judge(t, "locks/rc_any, on "+pack, filepath.Join(vectors, "packs", pack), "--lock", own)
	}
}
