package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
)

func demoCmd(s cli.Streams) *cobra.Command {
	var o struct {
		assay, dir, site string
		serve            bool
	}
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole chain on this machine, with real parts",
		Long: `demo starts a ledger, a development TSA and three witnesses (two Ed25519, one ML-DSA-44,
two must cosign) on loopback, records a program with 'assay run', anchors its pack, verifies
everything offline with every server stopped, and then tries what an attacker or a bad day
would: a failing check, altered evidence, a duplicate, dead witnesses, a forked log.
It exits 0 only if every step went as it must.`,
		Example: "  ledger demo\n  ledger demo --serve",
		Args:    cli.Args(cobra.NoArgs, "no argument"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.dir == "" {
				if o.dir, err = os.MkdirTemp("", "ledger-demo-"); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
			} else if err := emptyOrMissing(o.dir); err != nil {
				return err
			}
			if o.site != "" {
				if err := emptyOrMissing(o.site); err != nil {
					return err
				}
			}
			d, err := newDemo(s.Out, o.dir, o.assay)
			if err != nil {
				return err
			}
			defer d.stopAll()
			if err := d.run(c.Context()); err != nil {
				return demoFailed(c.Context(), err)
			}
			if o.site != "" {
				if err := d.keepSite(c.Context(), o.site); err != nil {
					return demoFailed(c.Context(), err)
				}
			}
			if o.serve {
				return d.stay(c.Context())
			}
			return nil
		},
	}
	c.Flags().StringVar(&o.assay, "assay", "", "the assay program (default: beside ledger, else on PATH)")
	c.Flags().StringVar(&o.dir, "dir", "", "directory to keep (default: a temporary one, removed at the end)")
	c.Flags().StringVar(&o.site, "site", "", "a new folder that gets the site of the log, to be kept")
	c.Flags().BoolVar(&o.serve, "serve", false, "keep the servers running afterwards")
	return c
}

// demoFailed is a demo that did not go as it must: a bug, ours or this machine's, never a verdict.
func demoFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return cli.Unavailable("", "interrupted")
	}
	return &cli.Error{Code: cli.ExitInternal, Err: err, Hint: "run 'ledger demo --dir NEWDIR' to keep the logs of the servers"}
}

// demo holds the world of one demonstration.
type demo struct {
	*network
	out   io.Writer
	steps int
}

func newDemo(out io.Writer, dir, assay string) (*demo, error) {
	n, err := newNetwork(dir, assay, "demo.example")
	return &demo{network: n, out: out}, err
}

// say prints one line of a step that held.
func (d *demo) say(format string, args ...any) {
	d.steps++
	fmt.Fprintf(d.out, "%2d  %s\n", d.steps, terminal.Safe(fmt.Sprintf(format, args...)))
}

// keepSite builds the site of the log, and says how to look at it: modules are not loaded from file://.
func (d *demo) keepSite(ctx context.Context, dir string) error {
	out, err := filepath.Abs(dir) // the program runs elsewhere
	if err != nil {
		return err
	}
	if _, err := d.program(ctx, 0, d.self, "site", "build", "--log", d.path("ledger"), "--out", out); err != nil {
		return err
	}
	program := d.self
	if here, err := os.Getwd(); err == nil {
		if near, err := filepath.Rel(here, program); err == nil && filepath.IsLocal(near) {
			program = "." + string(filepath.Separator) + near
		}
	}
	_, err = fmt.Fprintf(d.out, "the log as a site that anyone can check: %s (look at it with '%s site serve %s')\n", terminal.Safe(dir), terminal.Safe(program), terminal.Safe(dir))
	return err
}

func (d *demo) stay(ctx context.Context) error {
	fmt.Fprintf(d.out, "the log as a site that anyone can check: %s/\n", d.url("ledger"))
	fmt.Fprintf(d.out, "serving until ^C:\n")
	for _, name := range []string{"ledger", "tsa", "w1", "w2", "w3"} {
		fmt.Fprintf(d.out, "  %-6s %s\n", name, d.url(name))
	}
	policy, roots := d.policy(), d.roots()
	fmt.Fprintf(d.out, "anchor a pack of your own, and verify it:\n")
	fmt.Fprintf(d.out, "  assay anchor PACK --ledger %s --policy %s\n", d.url("ledger"), policy)
	fmt.Fprintf(d.out, "  assay verify-pack PACK --policy %s --require-anchor --tsa-roots %s\n", policy, roots)
	<-ctx.Done()
	return nil
}
