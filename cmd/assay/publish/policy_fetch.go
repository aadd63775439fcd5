package publish

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/ledger/client"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// policyFetch is one run of 'policy fetch', with its flags.
type policyFetch struct {
	s             cli.Streams
	policy, roots string
	force         bool
	timeout       time.Duration
}

func policyFetchCmd(s cli.Streams) *cobra.Command {
	o := policyFetch{s: s}
	c := &cobra.Command{
		Use:   "fetch URL",
		Short: "Get the policy and the time roots of a ledger, and show what to compare",
		Long: `fetch asks the ledger at URL for its policy (its key, its witnesses, how many must cosign) and for the roots
of its timestamps, writes them to files, and shows what to compare. A policy that comes from the ledger itself proves
nothing: a ledger that lies gives one of its own making. Compare what is shown with what the operator and each
witness say elsewhere; from then on the files are yours, and 'assay anchor' and 'assay verify-pack' believe them.

A file that is there is not replaced without --force, unless it holds the same.`,
		Example: `  assay policy fetch https://ledger.example
  assay policy fetch http://127.0.0.1:8080 -o trust/policy --roots-output trust/roots.pem`,
		Args: cli.Args(cobra.ExactArgs(1), "the URL of a ledger"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *policyFetch) add(c *cobra.Command) {
	c.Flags().StringVarP(&o.policy, "output", "o", "policy", "`FILE` for the policy")
	c.Flags().StringVar(&o.roots, "roots-output", "roots.pem", "`FILE` for the roots of the ledger's timestamps, if it has any")
	c.Flags().BoolVar(&o.force, "force", false, "replace files that hold something else")
	c.Flags().DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait for the answers")
}

func (o *policyFetch) check() error {
	if o.timeout <= 0 {
		return cli.BadInput("", "--timeout %s is no time at all", o.timeout)
	}
	return nil
}

func (o *policyFetch) run(c *cobra.Command, args []string) error {
	if err := o.check(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	said, err := ask(ctx, args[0])
	if err != nil {
		return noPolicy(err)
	}
	wrote, err := o.write(said)
	if err != nil {
		return err
	}
	_, err = o.s.Out.Write(said.text(args[0], wrote))
	return err
}

// introduction is what a ledger says of itself, and the checkpoint that fits it.
type introduction struct {
	*client.About
	roots      *timestamp.Roots // nil: none
	checkpoint *trust.Checkpoint
}

// ask refuses what is not even consistent: the ledger's own checkpoint must verify under its policy.
func ask(ctx context.Context, url string) (*introduction, error) {
	ledger := &client.Client{URL: url}
	about, err := ledger.About(ctx)
	if err != nil {
		return nil, err
	}
	if err := terminal.Printable(about.Policy.Text()); err != nil { // what cannot be seen cannot be compared
		return nil, fmt.Errorf("the ledger's policy: %w", err)
	}
	said := &introduction{About: about}
	if len(about.TSARoots) > 0 {
		if said.roots, err = timestamp.ParseRoots(about.TSARoots); err != nil {
			return nil, fmt.Errorf("the roots of its timestamps: %w", err)
		}
	}
	ledger.Policy = about.Policy
	if said.checkpoint, err = ledger.Checkpoint(ctx); err != nil {
		return nil, fmt.Errorf("under the ledger's own policy: %w", err)
	}
	return said, nil
}

// noPolicy: a policy that is nobody's word yet accuses nobody, so this never exits 2.
func noPolicy(err error) error {
	switch {
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, trust.ErrQuorum), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return cli.Unavailable("nothing was written; run it again later", "%w", err)
	}
	return cli.BadInput("nothing was written; is this the URL of a ledger?", "%w", err)
}

// fetched is a file that is to hold text.
type fetched struct {
	path string
	text []byte
	same bool // it is there and holds it
}

// write makes the files, after it has looked at both. It says of each what it did.
func (o *policyFetch) write(said *introduction) (wrote []string, err error) {
	files := []*fetched{{path: o.policy, text: said.Policy.Text()}}
	if said.roots != nil {
		files = append(files, &fetched{path: o.roots, text: said.roots.PEM()})
	}
	named := map[string]bool{}
	for _, file := range files {
		folder, err := cli.FolderOf(file.path)
		if err != nil {
			return nil, noPlace(err)
		}
		named[filepath.Join(folder, filepath.Base(file.path))] = true
	}
	if len(named) < len(files) || len(files) > 1 && cli.SameFile(o.policy, o.roots) {
		return nil, cli.BadInput("", "--output and --roots-output name one file: nothing was written")
	}
	for _, file := range files {
		if err := file.look(o.force); err != nil {
			return nil, err
		}
	}
	put := durable.CreateFile // whoever was faster has his file still
	if o.force {
		put = durable.WriteFile
	}
	return publish(files, put)
}

// look refuses a place where the file cannot be made, and what is there and may not be replaced. A link to a file that
// holds the same stays.
func (f *fetched) look(force bool) error {
	info, err := os.Lstat(f.path)
	if err == nil {
		was, readErr := cli.ReadFile(f.path, int64(len(f.text))+1) // more is something else
		f.same = readErr == nil && bytes.Equal(was, f.text)
		switch {
		case f.same:
			return nil
		case !info.Mode().IsRegular(): // not even with --force
			return noPlace(&durable.NotRegular{Path: f.path, Mode: info.Mode()})
		case !force:
			return cli.BadInput("compare the two; --force replaces it, --output and --roots-output name others", "%s is there and holds something else: nothing was written", f.path)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return noPlace(err)
	}
	if err := cli.Writable(filepath.Dir(f.path)); err != nil {
		return noPlace(err)
	}
	return nil
}

func noPlace(err error) error {
	return cli.BadInput("--output and --roots-output name files in directories that are there", "nothing was written: %w", err)
}

// publish writes the files one after the other: the disk can be full for the second, and then the error names the first.
func publish(files []*fetched, put func(path string, text []byte, perm fs.FileMode) error) (wrote []string, err error) {
	for _, f := range files {
		if f.same {
			wrote = append(wrote, f.path+" (it held the same)")
			continue
		}
		if err := put(f.path, f.text, 0o644); err != nil {
			if len(wrote) > 0 {
				err = fmt.Errorf("%w; there is already %s", err, strings.Join(wrote, " and "))
			}
			return nil, err
		}
		wrote = append(wrote, f.path)
	}
	return wrote, nil
}

// text is what to compare. A vkey holds a whole public key; those of ML-DSA are long, so each has its SHA-256 too.
func (i *introduction) text(url string, wrote []string) []byte {
	var b bytes.Buffer
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s  %s\n", what, terminal.Safe(fmt.Sprintf(format, args...)))
	}
	key := func(vkey string) {
		if len(vkey) > 200 {
			vkey = vkey[:60] + "…"
		}
		line("", "%s", vkey)
	}
	line("wrote", "%s, as %s says: its own word, which proves nothing yet", strings.Join(wrote, " and "), url)
	line("origin", "%s", i.Origin)
	line("log key", "SHA-256 of the vkey %x", sha256.Sum256([]byte(i.VKey)))
	key(i.VKey)
	for _, w := range i.Policy.Witnesses() {
		line("witness", "%s, %s, SHA-256 of the vkey %x", w.Name, cmp.Or(w.URL, "none"), sha256.Sum256([]byte(w.VKey)))
		key(w.VKey)
	}
	for text := range strings.Lines(string(i.Policy.Text())) {
		if word, rest, _ := strings.Cut(strings.TrimSpace(text), " "); word == "group" || word == "quorum" {
			line(word, "%s", rest)
		}
	}
	if i.roots == nil {
		line("time root", "none: its entries have no timestamps")
	} else {
		for _, c := range i.roots.Certificates() {
			line("time root", "%s, valid until %s, SHA-256 of the certificate %x", c.Subject, c.NotAfter.UTC().Format(time.DateOnly), sha256.Sum256(c.Raw))
		}
	}
	var names []string
	for _, c := range i.checkpoint.Cosignatures {
		names = append(names, c.Witness)
	}
	line("checkpoint", "a tree of %d, cosigned by %s: it agrees with this policy, which is no proof either", i.checkpoint.Size, cmp.Or(strings.Join(names, ", "), "none"))
	b.WriteString("\nCompare the keys, the witnesses, the quorum and the time root with what the ledger's operator and each witness\n" +
		"say elsewhere: on a page of their own, in a letter, on the telephone. Until then do not trust these files.\n")
	return b.Bytes()
}
