package demo

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/pack/report"
)

func demoChallengeCmd(s cli.Streams) *cobra.Command {
	var dir string
	c := demoCmd(s, &cobra.Command{
		Use:   "demo-challenge",
		Short: "Write a good and a tampered pack: can you tell which?",
		Long: `demo-challenge writes two packs that differ in one character, their checksums, and what to do with
them, with this tool and without. It needs no key and no network. Run again, it replaces what it
wrote before; a directory that holds anything else is left alone.`,
		Example: `  assay demo-challenge
  assay demo-challenge -o ./challenge --json`,
	}, func(d *demo) error { return d.challenge(dir) })
	c.Flags().StringVarP(&dir, "output", "o", "challenge_pack", "the `DIR` to write")
	return c
}

// challengeTitle begins CHALLENGE.md: by it a directory is known to be ours.
const challengeTitle = "# Which of these packs was tampered with?\n"

const (
	challengeText = "CHALLENGE.md" // removed last, so that what a crash leaves is still known to be ours
	challengeSums = "SHA256SUMS.txt"
)

// challengeFiles are all files that demo-challenge writes.
func challengeFiles() (names []string) {
	for _, dir := range []string{"good", "tampered"} {
		for _, name := range manifest.FileNames() {
			names = append(names, dir+"/"+name)
		}
	}
	return append(names, challengeSums, challengeText)
}

func (d *demo) challenge(output string) error {
	output = filepath.Clean(output)
	if err := checkReplaceable(output); err != nil {
		return err
	}
	run, err := d.record(modelCall("gpt-4"), modelCall("gpt-4"), guardian)
	if err != nil {
		return err
	}
	good, err := d.pack("good", run, builtin("receipt_completeness", "guardian_enforcement"))
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, name := range manifest.FileNames() {
		data, err := os.ReadFile(filepath.Join(good, name))
		if err != nil {
			return err
		}
		files["good/"+name], files["tampered/"+name] = data, data
	}
	receipts := files["good/receipt_pack.jsonl"]
	files["tampered/receipt_pack.jsonl"] = bytes.Replace(receipts, []byte(`"gpt-4"`), []byte(`"gpt-5"`), 1)
	r, err := expect.VerifyDir(good, pack.Options{Now: d.now})
	if err != nil {
		return err
	}
	files[challengeText] = challengePage(&report.Report{Result: r, Path: "good", At: d.now, Version: manifest.Version})
	files[challengeSums] = nil
	files[challengeSums] = fileSums(files, challengeSums)
	if err := replaceChallenge(output, files); err != nil {
		return err
	}
	d.members = append(d.members, jcs.M("output", jcs.Loose(output)))
	if err := d.say(`Two packs of one run are in %s. In one of them a single character was changed after it
was signed: a model's name, in the first receipt.

`, terminal.Safe(output)); err != nil {
		return err
	}
	for _, act := range []struct {
		name string
		want promise
	}{
		{"good", promise{pack.Pass, pack.Pass, cli.ExitPass}},
		{"tampered", promise{pack.Fail, pack.Skipped, cli.ExitTampered}},
	} {
		path := filepath.Join(output, act.name)
		if err := d.act(act.name, path, path, act.want); err != nil {
			return err
		}
	}
	return d.say(`Give %s to somebody who does not trust you, or this tool: CHALLENGE.md in it says how to
check the packs with other programs.
`, terminal.Safe(output))
}

// fileSums is what sha256sum -c reads.
func fileSums(files map[string][]byte, except string) []byte {
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != except {
			fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(files[name]), name)
		}
	}
	return text.Bytes()
}

// checkReplaceable admits what is not there, what is empty, and what demo-challenge wrote and nobody
// added to.
func checkReplaceable(dir string) error {
	refuse := func(format string, args ...any) error {
		return cli.BadInput("name another directory with -o DIR", "%s is not replaced: %s", dir, fmt.Sprintf(format, args...))
	}
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return refuse("it is not a directory")
	}
	known, found := challengeFiles(), 0
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		switch {
		case err != nil:
			return err
		case name == ".", e.IsDir() && (name == "good" || name == "tampered"):
		case !e.Type().IsRegular() || !slices.Contains(known, name):
			return refuse("it holds %s, which demo-challenge did not write", name)
		}
		found++
		return nil
	})
	if err != nil || found == 1 { // the directory alone
		return err
	}
	page, err := cli.ReadFile(filepath.Join(dir, challengeText), 1<<20)
	if err != nil || !bytes.HasPrefix(page, []byte(challengeTitle)) {
		return refuse("it holds no CHALLENGE.md of demo-challenge")
	}
	return nil
}

// replaceChallenge removes file by file what checkReplaceable has seen, never a tree: what appeared in
// between stays, and its directory with it.
func replaceChallenge(dir string, files map[string][]byte) error {
	old := slices.DeleteFunc(challengeFiles(), func(name string) bool { return name == challengeText })
	for _, name := range append(old, "good", "tampered", challengeText, ".") {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	names := slices.Sorted(maps.Keys(files))
	data := make([][]byte, len(names))
	for i, name := range names {
		data[i] = files[name]
	}
	return durable.WriteDir(dir, names, data, 0o755, 0o644)
}

func challengePage(good *report.Report) []byte {
	return fmt.Appendf(nil, challengeTitle+`
`+"`good/` and `tampered/`"+` hold the evidence of one run of an agent: what it called, and what its guardian
said. Both are signed with one key, whose SHA-256 is

    %s

In one of them a single character was changed afterwards. The names tell which; the point is that
you need not believe them.

## With assay

    assay verify-pack good --require-claim-pass        # exit 0
    assay verify-pack tampered --require-claim-pass    # exit 2

Now tamper with `+"`good/`"+` yourself: change, add or remove what you like, in any file, and verify it again.
`+"`assay demo-challenge`"+` puts it back. `+"`assay explain good`"+` says what the pack proves and what it does not.

## Without assay

First, that you have the files as they were made (this says nothing about who made them):

    sha256sum -c SHA256SUMS.txt

Then the pack itself, with %s. Say `+"`cd tampered`"+` for the other one:

`+"```sh\n%s```"+`

With the good pack it ends without an error, after "Signature Verified Successfully". Whether the key
is the right one is a question for whoever you trust to name it; here it is the one above.
`, good.Manifest.SignerFingerprint(), report.Needs, good.Script())
}
