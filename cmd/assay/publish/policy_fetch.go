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

// write makes the files, after it has looked at both. It says of each what it did.
func (o *policyFetch) write(said *introduction) (wrote []string, err error) {
	files := []struct {
		path string
		text []byte
	}{{o.policy, said.Policy.Text()}}
	if said.roots != nil {
		files = append(files, struct {
			path string
			text []byte
		}{o.roots, said.roots.PEM()})
		if cli.SameFile(o.policy, o.roots) || o.policy == o.roots {
			return nil, cli.BadInput("", "--output and --roots-output name one file")
		}
	}
	same := map[string]bool{}
	for _, file := range files {
		was, err := cli.ReadFile(file.path, int64(len(file.text))+1) // more is something else
		if same[file.path] = err == nil && bytes.Equal(was, file.text); same[file.path] || errors.Is(err, fs.ErrNotExist) || o.force {
			continue
		}
		return nil, cli.BadInput("compare the two; --force replaces it, --output and --roots-output name others", "%s is there and holds something else: nothing was written", file.path)
	}
	for _, file := range files {
		if same[file.path] {
			wrote = append(wrote, file.path+" (it held the same)")
			continue
		}
		put := durable.CreateFile // whoever was faster has his file still
		if o.force {
			put = durable.WriteFile
		}
		if err := put(file.path, file.text, 0o644); err != nil {
			return nil, err
		}
		wrote = append(wrote, file.path)
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
