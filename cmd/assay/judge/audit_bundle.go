package judge

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/report"
)

// auditBundle is one run of 'audit bundle', with its flags.
type auditBundle struct {
	s cli.Streams
	expect.Flags
	output string
	json   bool
}

func auditBundleCmd(s cli.Streams) *cobra.Command {
	o := auditBundle{s: s}
	c := &cobra.Command{
		Use:   "bundle PACK",
		Short: "Write a pack, its verdict and how to check it into one file",
		Long: `bundle verifies a pack and writes it into a tar.gz with its verdict (VERIFY_RESULT.json), what is in
it (PACK_SUMMARY.md), whose key signed it (SIGNER_INFO.json), how to check all that offline, with
this tool and without (VERIFY_INSTRUCTIONS.md), and checksums. With --now the same pack and flags
give the same bytes.

A pack that verify-pack would end with exit code 2 is not bundled. One that fails a required check
honestly is, and the exit code is 1. Only the five files of a pack and those of _unsigned/ that this
tool knows go in, and a --proof.`,
		Example: `  assay audit bundle ./proof_pack_trace_20260115T100000_5f2c9a01
  assay audit bundle ./pack --lock assay.lock --policy policy --tsa-roots roots.pem -o evidence.tar.gz`,
		Args: cli.Args(cobra.ExactArgs(1), "one pack directory"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *auditBundle) add(c *cobra.Command) {
	o.Flags.Add(c)
	c.Flags().StringVarP(&o.output, "output", "o", "", "the `FILE` to write (default: audit_bundle_ID.tar.gz)")
	cli.JSONFlag(c, &o.json)
}

func (o *auditBundle) run(c *cobra.Command, args []string) error {
	options, err := o.Options(c)
	if err != nil {
		return err
	}
	return o.bundle(args[0], options)
}

// bundle verifies the pack where it is, copies it to a place that is ours alone, verifies the copy and
// bundles that: what is in the bundle is what was judged, whoever writes to the pack meanwhile.
func (o *auditBundle) bundle(dir string, options pack.Options) (err error) {
	r, err := expect.VerifyDir(dir, options)
	if err != nil {
		return err
	}
	if r.ExitCode() == cli.ExitTampered {
		fmt.Fprintf(o.s.Err, "no bundle was written: nobody should rely on this pack\n")
		return cli.Judged(r.ExitCode(), o.show(o.Report(dir, r, options), nil))
	}
	name := "audit_bundle_" + fileName(r.Manifest.PackID)
	output := o.output
	if output == "" {
		output = name + ".tar.gz"
	}
	if parent, err := cli.FolderOf(output); err != nil {
		return err
	} else if cli.Within(dir, parent) {
		return cli.BadInput("name a file elsewhere with -o FILE", "%s is inside the pack", output)
	}
	if _, err := os.Lstat(output); err == nil {
		return cli.BadInput("remove it, or name another file with -o FILE", "%s exists", output)
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
	again, err := expect.VerifyDir(copied, options)
	if err != nil {
		return err
	}
	if again.ExitCode() != r.ExitCode() || again.Manifest.Digest() != r.Manifest.Digest() {
		return &cli.Error{Code: cli.ExitTampered, Err: fmt.Errorf("%s changed while it was bundled", dir)}
	}
	pages, err := bundlePages(o.Report("pack", again, options))
	if err != nil {
		return err
	}
	if options.Proof != nil {
		pages[bundledProof] = options.Proof
	}
	path, digest, err := writeBundle(staging, name, copied, pages)
	if err != nil {
		return err
	}
	// A link, not a rename: what somebody else put there meanwhile is not replaced.
	if err := durable.Link(path, output); err != nil {
		return err
	}
	return cli.Judged(again.ExitCode(), o.show(o.Report(dir, r, options), []string{output, digest}))
}

// show prints the judgement, and the bundle's path and SHA-256 if there is one.
func (o *auditBundle) show(r *report.Report, bundle []string) error {
	if o.json {
		v := r.JSON("audit bundle")
		if bundle != nil {
			v.Members = append(v.Members, jcs.M("bundle", jcs.Loose(bundle[0])), jcs.M("bundle_sha256", jcs.Str(bundle[1])))
		}
		return cli.PrintJSON(o.s.Out, v)
	}
	if _, err := io.WriteString(o.s.Out, r.Text()); err != nil || bundle == nil {
		return err
	}
	_, err := fmt.Fprintf(o.s.Out, "bundle     %s\nsha256     %s\n", terminal.Safe(bundle[0]), bundle[1])
	return err
}

// bundledProof is a proof that was not in the pack.
const bundledProof = "anchor.tlog-proof"

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

// bundlePages are what a bundle says about its pack, by file name. The pack was verified.
func bundlePages(r *report.Report) (map[string][]byte, error) {
	pages := map[string][]byte{"PACK_SUMMARY.md": r.Markdown(), "VERIFY_INSTRUCTIONS.md": instructionsPage(r)}
	for name, v := range map[string]jcs.Value{"SIGNER_INFO.json": signerInfo(r), "VERIFY_RESULT.json": r.JSON("verify-pack")} {
		text, err := jcs.AppendPretty(nil, v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		pages[name] = append(text, '\n')
	}
	return pages, nil
}

func signerInfo(r *report.Report) jcs.Value {
	note := "nobody here says whose key this is: compare the fingerprint with one that you have from the signer"
	if r.Signer.Pinned {
		note = "the lock or the --trusted-signer that the pack was held to names this key"
	}
	return jcs.Obj(
		jcs.M("signer_id", jcs.Str(r.Manifest.SignerID)),
		jcs.M("algorithm", jcs.Str("ed25519")),
		jcs.M("public_key", jcs.Str(base64.StdEncoding.EncodeToString(r.Manifest.SignerKey))),
		jcs.M("fingerprint_sha256", jcs.Str(r.Manifest.SignerFingerprint().String())),
		jcs.M("pinned", jcs.Boolean(r.Signer.Pinned)),
		jcs.M("note", jcs.Str(note)),
	)
}

func instructionsPage(r *report.Report) []byte {
	return fmt.Appendf(nil, `# How to check this bundle

Everything below works offline. That this page or any other beside `+"`pack/`"+` says so proves nothing:
only the pack is signed.

## Whose key

The pack was signed with the key whose SHA-256 is

    %s

Ask the signer for theirs by a way that does not lead through this bundle. Without that, all checks
below show only that *somebody's* key signed these files.

## With assay

    sha256sum -c SHA256SUMS.txt
    assay verify-pack pack

Exit 0: intact. 1: authentic, and a check that was asked for does not hold. 2: tampered. More ways:
`+"`--require-claim-pass`, `--lock FILE`, `--policy FILE --tsa-roots FILE`"+` (was it logged, and when?
with `+"`--proof "+bundledProof+"`"+` if that file is here).
`+"`assay explain pack`"+` says what it proves and what it does not. The Python tool assay-ai verifies the
pack as well.

## Without

With %s:

`+"```sh\n%s```"+`

It ends without an error, after "Signature Verified Successfully". The receipts are one JSON object
a line in `+"`pack/receipt_pack.jsonl`"+`, to be read, counted and searched with any tool.
`, r.Manifest.SignerFingerprint(), report.Needs, r.Script())
}
