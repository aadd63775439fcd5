package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func auditCmd(s cmd.Streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "audit",
		Short:   "Hand evidence to an auditor",
		Long:    `audit makes what an auditor needs of a pack.`,
		Example: `  assay audit bundle ./proof_pack_trace_20260115T100000_5f2c9a01`,
	}
	c.AddCommand(auditBundleCmd(s))
	return c
}

// auditFlags are the ways of verify-pack that a bundle can be held to.
type auditFlags struct {
	anchorFlags
	lock, output  string
	cards         []string
	requireAnchor bool
	json          bool
}

func auditBundleCmd(s cmd.Streams) *cobra.Command {
	f := auditFlags{}
	c := &cobra.Command{
		Use:   "bundle PACK",
		Short: "Write a pack, its verdict and how to check it into one file",
		Long: `bundle verifies a pack and writes it into a tar.gz with its verdict (VERIFY_RESULT.json), what is in
it (PACK_SUMMARY.md), whose key signed it (SIGNER_INFO.json), how to check all that offline, with
this tool and without (VERIFY_INSTRUCTIONS.md), and checksums. The same pack and flags give the same
bytes. A pack that is tampered with, drifts from the lock or is not logged as required is not
bundled. A pack that fails its claims honestly is: that is what auditors are for.

Only the five files of a pack and those of _unsigned/ that this tool knows go in.`,
		Example: `  assay audit bundle ./proof_pack_trace_20260115T100000_5f2c9a01
  assay audit bundle ./pack --lock assay.lock --policy policy --tsa-roots roots.pem -o evidence.tar.gz`,
		Args: cmd.Args(cobra.ExactArgs(1), "one pack directory"),
		RunE: func(_ *cobra.Command, args []string) error {
			o, err := f.verifyOptions()
			if err != nil {
				return err
			}
			return f.bundle(s, args[0], o)
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.lock, "lock", "", "lock `FILE` to hold the pack to")
	c.Flags().StringArrayVarP(&f.cards, "run-card", "c", nil, "`CARD` file whose claims the pack may have declared (repeat for more)")
	c.Flags().BoolVar(&f.requireAnchor, "require-anchor", false, "bundle only a pack that is proven to be logged under --policy")
	c.Flags().StringVarP(&f.output, "output", "o", "", "the `FILE` to write (default: audit_bundle_ID.tar.gz)")
	c.Flags().BoolVar(&f.json, "json", false, "one JSON object on stdout")
	return c
}

func (f *auditFlags) verifyOptions() (o pack.Options, err error) {
	if f.requireAnchor && f.policy == "" {
		return o, cmd.BadInput("name the logs and witnesses you trust with --policy FILE", "--require-anchor needs a policy")
	}
	if o, err = f.options(); err != nil {
		return o, err
	}
	if f.lock != "" {
		text, err := cmd.ReadFile(f.lock, 1<<20)
		if err != nil {
			return o, err
		}
		if o.Lock, err = pack.ParseLock(text); err != nil {
			return o, &cmd.Error{Code: cmd.ExitTampered, Err: fmt.Errorf("%s: %w", f.lock, err), Hint: "assay lock check " + f.lock}
		}
	}
	o.Cards, err = findCards(f.cards)
	o.RequireAnchor, o.Now = f.requireAnchor, time.Now()
	return o, err
}

// unsignedFiles are the files of _unsigned/ that this tool or the reference tool writes.
var unsignedFiles = []string{"PACK_SUMMARY.md", "anchor.tlog-proof", "decision_credential.json", "receipt_pack_v2.jsonl", "run_cards.json"}

// maxUnsigned bounds what nothing signed covers.
const maxUnsigned = 64 << 20

// bundle verifies the pack where it is, copies it to a place that is ours alone, verifies the copy and
// bundles that: what is in the bundle is what was judged, whoever writes to the pack meanwhile.
func (f *auditFlags) bundle(s cmd.Streams, dir string, o pack.Options) (err error) {
	r, err := verifyDir(dir, o)
	if err != nil {
		return err
	}
	if r.ExitCode() != cmd.ExitPass {
		return f.refuse(s, dir, r)
	}
	name := "audit_bundle_" + fileName(r.Manifest.PackID)
	output := f.output
	if output == "" {
		output = name + ".tar.gz"
	}
	if _, err := os.Lstat(output); err == nil {
		return cmd.BadInput("remove it, or name another file with -o FILE", "%s exists", output)
	}
	staging, err := os.MkdirTemp(filepath.Dir(output), ".assay_tmp_*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(staging)) }()
	copied := filepath.Join(staging, "pack")
	if err := copyPack(dir, copied); err != nil {
		return err
	}
	again, err := verifyDir(copied, o)
	if err != nil {
		return err
	}
	if again.ExitCode() != cmd.ExitPass || again.Manifest.Digest() != r.Manifest.Digest() {
		return &cmd.Error{Code: cmd.ExitTampered, Err: fmt.Errorf("%s changed while it was bundled", dir)}
	}
	pages, err := bundlePages(again)
	if err != nil {
		return err
	}
	path, err := writeBundle(staging, name, copied, pages)
	if err != nil {
		return err
	}
	// A link, not a rename: what somebody else put there meanwhile is not replaced.
	if err := os.Link(path, output); err != nil {
		return err
	}
	return f.report(s, dir, output, again)
}

func (f *auditFlags) refuse(s cmd.Streams, dir string, r *pack.Result) error {
	if f.json {
		v := packObject(dir, r)
		v.Members = append([]jcs.Member{jcs.M("command", jcs.Str("bundle")), jcs.M("status", jcs.Str("failed")), jcs.M("exit_code", jcs.Int(int64(r.ExitCode())))}, withoutMember(v.Members, "exit_code")...)
		if err := printJSON(s.Out, v); err != nil {
			return err
		}
	} else if err := printResult(s.Out, dir, r); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "no bundle was written: nobody should rely on this pack\n")
	return verdict(r.ExitCode())
}

func (f *auditFlags) report(s cmd.Streams, dir, output string, r *pack.Result) error {
	file, err := os.Open(output)
	if err != nil {
		return err
	}
	defer file.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return err
	}
	if f.json {
		v := packObject(dir, r)
		v.Members = append([]jcs.Member{
			jcs.M("command", jcs.Str("bundle")), jcs.M("status", jcs.Str("ok")), jcs.M("exit_code", jcs.Int(0)),
			jcs.M("bundle", jcsText(output)), jcs.M("bundle_sha256", jcs.Str(fmt.Sprintf("%x", digest.Sum(nil)))),
		}, withoutMember(v.Members, "exit_code")...)
		return printJSON(s.Out, v)
	}
	if err := printResult(s.Out, dir, r); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "bundle     %s\nsha256     %x\n", cmd.Safe(output), digest.Sum(nil))
	return err
}

func withoutMember(members []jcs.Member, name string) []jcs.Member {
	return slices.DeleteFunc(members, func(m jcs.Member) bool { return m.Name == name })
}

// fileName is what of an id can be a name everywhere.
func fileName(id string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, id)
	return name[:min(len(name), 100)]
}

// copyPack copies the files that belong to a pack, each only if it is a regular file.
func copyPack(from, to string) error {
	fsys, closeDir, err := pack.DirFS(from)
	if err != nil {
		return err
	}
	defer closeDir()
	if err := os.MkdirAll(filepath.Join(to, "_unsigned"), 0o700); err != nil {
		return err
	}
	for _, name := range packFiles {
		if err := copyFile(fsys, name, to, 4<<30); err != nil {
			return err
		}
	}
	for _, name := range unsignedFiles {
		err := copyFile(fsys, "_unsigned/"+name, to, maxUnsigned)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func copyFile(fsys fs.FS, name, to string, limit int64) error {
	in, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return cmd.BadInput("", "%s is not a regular file", name)
	}
	out, err := os.OpenFile(filepath.Join(to, filepath.FromSlash(name)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(in, limit+1))
	if err == nil && n > limit {
		err = cmd.BadInput("", "%s has more than %d bytes", name, limit)
	}
	return errors.Join(err, out.Close())
}

// bundleTime is the time of every file in a bundle: the same pack, the same bytes.
var bundleTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// writeBundle writes the archive: one directory, in it the pages by name, the checksums and pack/.
func writeBundle(staging, name, dir string, pages map[string][]byte) (path string, err error) {
	path = filepath.Join(staging, "bundle")
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	zipped := gzip.NewWriter(out) // no name, no time
	b := &bundleWriter{archive: tar.NewWriter(zipped), root: name + "/"}
	b.directory("")
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		b.file(page, bytes.NewReader(pages[page]), int64(len(pages[page])))
	}
	b.directory("pack/")
	b.directory("pack/_unsigned/")
	for _, file := range slices.Concat(packFiles, prefixed("_unsigned/", unsignedFiles)) {
		b.copy("pack/"+file, filepath.Join(dir, filepath.FromSlash(file)))
	}
	b.sums = append(b.sums, "") // a newline at the end
	text := strings.Join(b.sums, "\n")
	b.file("SHA256SUMS.txt", strings.NewReader(text), int64(len(text)))
	return path, errors.Join(b.err, b.archive.Close(), zipped.Close(), out.Sync())
}

func prefixed(prefix string, names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = prefix + name
	}
	return list
}

// bundleWriter keeps the first error; after it nothing is written.
type bundleWriter struct {
	archive *tar.Writer
	root    string
	sums    []string // lines of sha256sum
	err     error
}

func (b *bundleWriter) directory(name string) {
	if b.err == nil {
		b.err = b.archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: b.root + name, Mode: 0o755, ModTime: bundleTime})
	}
}

func (b *bundleWriter) file(name string, content io.Reader, size int64) {
	if b.err != nil {
		return
	}
	digest := sha256.New()
	if b.err = b.archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: b.root + name, Mode: 0o644, Size: size, ModTime: bundleTime}); b.err != nil {
		return
	}
	if _, b.err = io.Copy(b.archive, io.TeeReader(content, digest)); b.err == nil {
		b.sums = append(b.sums, fmt.Sprintf("%x  %s", digest.Sum(nil), name))
	}
}

// copy adds a file of the pack, if it has that one.
func (b *bundleWriter) copy(name, path string) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var info fs.FileInfo
	if err == nil {
		defer f.Close()
		info, err = f.Stat()
	}
	if err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	b.file(name, f, info.Size())
}

// bundlePages are what a bundle says about its pack, by file name. The pack was verified.
func bundlePages(r *pack.Result) (map[string][]byte, error) {
	pages := map[string][]byte{"PACK_SUMMARY.md": summaryPage(r), "VERIFY_INSTRUCTIONS.md": instructionsPage(r)}
	for name, v := range map[string]jcs.Value{"SIGNER_INFO.json": signerInfo(r), "VERIFY_RESULT.json": verifyResult(r)} {
		text, err := jcs.AppendPretty(nil, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pages[name] = append(text, '\n')
	}
	return pages, nil
}

func verifyResult(r *pack.Result) jcs.Value {
	v := packObject("pack", r)
	v.Members = append([]jcs.Member{
		jcs.M("command", jcs.Str("verify-pack")), jcs.M("verifier", jcs.Str("assay "+pack.Version)), jcs.M("exit_code", jcs.Int(int64(r.ExitCode()))),
	}, withoutMember(v.Members, "exit_code")...)
	return v
}

func signerInfo(r *pack.Result) jcs.Value {
	note := "nobody here says whose key this is: compare the fingerprint with one that you have from the signer"
	if r.Pinned {
		note = "the lock that the pack was held to names this key"
	}
	return jcs.Obj(
		jcs.M("signer_id", jcs.Str(r.Manifest.SignerID)),
		jcs.M("algorithm", jcs.Str("ed25519")),
		jcs.M("public_key", jcs.Str(base64.StdEncoding.EncodeToString(r.Manifest.SignerKey))),
		jcs.M("fingerprint_sha256", jcs.Str(fmt.Sprintf("%x", r.Manifest.SignerFingerprint()))),
		jcs.M("pinned", jcs.Boolean(r.Pinned)),
		jcs.M("note", jcs.Str(note)),
	)
}

func summaryPage(r *pack.Result) []byte {
	a := r.Manifest.Attestation
	var w bytes.Buffer
	fmt.Fprintf(&w, "# Proof pack %s\n\n| | |\n|---|---|\n", pack.Markdown(r.Manifest.PackID))
	for _, row := range [][2]string{
		{"Run", r.Manifest.RunID}, {"Receipts", fmt.Sprint(r.Receipts)}, {"From", a.TimestampStart}, {"To", a.TimestampEnd}, {"Mode", a.Mode},
		{"Signer", r.Manifest.SignerID}, {"Key (SHA-256)", fmt.Sprintf("%x", r.Manifest.SignerFingerprint())},
		{"Manifest (SHA-256, canonical)", fmt.Sprintf("%x", r.Manifest.Digest())},
		{"Integrity", string(r.Integrity)}, {"Claims", string(r.Claims)}, {"Anchor", string(r.Anchor)}, {"Lock", string(r.Lock)},
	} {
		fmt.Fprintf(&w, "| %s | %s |\n", row[0], pack.Markdown(row[1]))
	}
	w.WriteString("\n## Claims\n\n")
	switch {
	case r.Claims == pack.Skipped:
		w.WriteString("The pack declares none.\n")
	case !r.ClaimsReexecuted:
		w.WriteString("Their definitions were not at hand: what follows, if anything, is the signer's word.\n\n")
	}
	for _, c := range r.ClaimResults {
		word := "holds"
		if !c.Passed {
			word = "**does not hold**"
		}
		fmt.Fprintf(&w, "- %s (%s) %s: expected %s; %s\n", pack.Markdown(c.ClaimID), pack.Markdown(c.Severity), word, pack.Markdown(c.Expected), pack.Markdown(c.Actual))
	}
	w.WriteString("\nThis page is a convenience, and so is everything outside `pack/`: verify the pack.\n")
	return w.Bytes()
}

func instructionsPage(r *pack.Result) []byte {
	return fmt.Appendf(nil, `# How to check this bundle

Everything below works offline. That this page or any other beside `+"`pack/`"+` says so proves nothing:
only the pack is signed.

## Whose key

The pack was signed with the key whose SHA-256 is

    %x

Ask the signer for theirs by a way that does not lead through this bundle. Without that, all checks
below show only that *somebody's* key signed these files.

## With assay

    sha256sum -c SHA256SUMS.txt
    assay verify-pack pack

Exit 0: intact. 1: authentic, and a check that was asked for does not hold. 2: tampered. More ways:
`+"`--require-claim-pass`, `--lock FILE`, `--policy FILE --tsa-roots FILE`"+` (was it logged, and when?).
`+"`assay explain pack`"+` says what it proves and what it does not. The Python tool assay-ai verifies the
pack as well.

## Without

With Python and OpenSSL 3:

`+"```sh\npack=pack\n%s```"+`

It ends with "Signature Verified Successfully". The receipts are one JSON object a line in
`+"`pack/receipt_pack.jsonl`"+`, to be read, counted and searched with any tool.
`, r.Manifest.SignerFingerprint(), checkByHand)
}

// checkByHand is a shell script that checks $pack with programs that are not ours: that its files are
// those that the manifest lists, and that the manifest is signed. The names in a manifest are ASCII and
// its numbers integers, so that Python's sorted JSON is its canonical form.
const checkByHand = `t=$(mktemp -d)
python3 - "$pack" "$t" <<'EOF'
import base64, hashlib, json, sys
pack = sys.argv[1] + "/"
manifest = json.load(open(pack + "pack_manifest.json", encoding="utf-8"))
canonical = lambda v: json.dumps(v, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
names = ["receipt_pack.jsonl", "verify_report.json", "verify_transcript.md"]
assert [f["path"] for f in manifest["files"]] == names, "the manifest lists other files"
for name, f in zip(names, manifest["files"]):
    digest = hashlib.sha256(open(pack + name, "rb").read()).hexdigest()
    assert digest == f["sha256"], name + " is not the file that was signed"
attested = hashlib.sha256(canonical(manifest["attestation"])).hexdigest()
assert attested == manifest["attestation_sha256"] == manifest["pack_root_sha256"], "the attestation was altered"
key = base64.b64decode(manifest["signer_pubkey"], validate=True)
print("signed with the key", hashlib.sha256(key).hexdigest())
signed = {k: v for k, v in manifest.items() if k not in ("signature", "pack_root_sha256")}
open(sys.argv[2] + "/key", "wb").write(bytes.fromhex("302a300506032b6570032100") + key)
open(sys.argv[2] + "/signed", "wb").write(canonical(signed))
EOF
openssl pkeyutl -verify -pubin -keyform DER -inkey "$t/key" -rawin -in "$t/signed" -sigfile "$pack/pack_signature.sig"
`
