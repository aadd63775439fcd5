package judge

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/cmd/assay/expect"
	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack"
	"github.com/Haserjian/assay-ledger/pack/manifest"
	"github.com/Haserjian/assay-ledger/site/single"
)

// page is one run of 'page', with its flags.
type page struct {
	s cli.Streams
	expect.Flags
	output string
	hash   bool
}

func pageCmd(s cli.Streams) *cobra.Command {
	o := page{s: s}
	c := &cobra.Command{
		Use:   "page [PACK]",
		Short: "Make one HTML file that holds a pack and verifies it where it is opened",
		Long: `page writes one HTML file that holds a pack, its proof, and what it is held to: the policy, roots, lock and the
other expectations that are given here. Opened from disk or mail it verifies itself in the reader's browser, then shows
the run row by row. It loads nothing, sends nothing, and runs one script, which its own policy names by hash.

Whoever makes or forwards such a page can change the verifier in it. It says so, and how to check the pack with
something that did not come with it: verify-pack, or verify.html, which page writes if no pack is named.

The pack is judged here too, as verify-pack judges it, with the same exit code. The page is written whatever that is:
of a pack that is not intact it says so, and shows no rows.`,
		Example: `  assay page ./pack -o pack.html
  assay page ./pack --policy policy --tsa-roots roots.pem --require-anchor -o pack.html
  assay page -o verify.html`,
		Args: cli.Args(cobra.MaximumNArgs(1), "at most one pack directory"),
		RunE: o.run,
	}
	o.add(c)
	return c
}

func (o *page) add(c *cobra.Command) {
	o.Flags.Add(c)
	c.Flags().StringVarP(&o.output, "output", "o", "", "write the page to `FILE`")
	c.Flags().BoolVar(&o.hash, "script-sha256", false, "print the SHA-256 of the script in every page, and make none")
}

func (o *page) check(args []string) error {
	switch {
	case o.hash && len(args)+len(o.output) > 0:
		return cli.BadInput("", "--script-sha256 makes no page")
	case !o.hash && o.output == "":
		return cli.BadInput("for example: assay page ./pack -o pack.html", "expected a file to write, --output FILE")
	}
	return nil
}

func (o *page) run(c *cobra.Command, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	if o.hash {
		sum, err := single.ScriptSHA256()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(o.s.Out, sum)
		return err
	}
	options, err := o.Options(c)
	if err != nil {
		return err
	}
	if err := o.MayWrite(c, args, "output"); err != nil {
		return err
	}
	if len(args) == 0 {
		text, err := single.Verifier()
		if err != nil {
			return err
		}
		return o.write(text)
	}
	return o.ofPack(c, args[0], options)
}

// ofPack judges the pack and makes its page.
func (o *page) ofPack(c *cobra.Command, dir string, options pack.Options) error {
	r, err := expect.VerifyDir(dir, options)
	if err != nil {
		return err
	}
	text, err := o.text(c, dir)
	if tooLarge := (*single.TooLarge)(nil); errors.As(err, &tooLarge) {
		return cli.BadInput("send the folder, and verify.html from 'assay page -o verify.html': that reads it from the disk", "%w", err)
	} else if err != nil {
		return err
	}
	if err := o.write(text); err != nil {
		return err
	}
	_, err = io.WriteString(o.s.Out, o.Report(dir, r, options).Text())
	return cli.Judged(r.ExitCode(), err)
}

// write makes the file and says so, beside the verdict, which stays the last line of the output.
func (o *page) write(text []byte) error {
	if err := durable.WriteFile(o.output, text, 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(o.s.Err, "wrote %s\n", terminal.Safe(o.output))
	return err
}

func (o *page) text(c *cobra.Command, dir string) ([]byte, error) {
	held, err := o.held(c, dir)
	if err != nil {
		return nil, err
	}
	return single.Pack(held)
}

// held reads the pack as it is, links and what is missing included: the page judges it again.
func (o *page) held(c *cobra.Command, dir string) (h single.Held, err error) {
	args, given, err := o.Given(c)
	if err != nil {
		return h, err
	}
	h.Args = args
	for _, f := range given {
		h.Files = append(h.Files, single.File{Name: "given/" + f.Flag, Kind: "file", Bytes: f.Data})
	}
	fsys, closeDir, err := pack.DirFS(dir)
	if err != nil {
		return h, err
	}
	defer closeDir()
	names := manifest.FileNames()
	for _, name := range names {
		if h.Files, err = hold(h.Files, fsys, name, "pack/"+name); err != nil {
			return h, err
		}
	}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return h, err
	}
	for _, e := range entries {
		switch {
		case e.Name() != manifest.UnsignedName && !slices.Contains(names, e.Name()):
			h.Extra = append(h.Extra, e.Name())
		case e.Name() == manifest.UnsignedName && e.IsDir():
			h.Unsigned = "folder"
		case e.Name() == manifest.UnsignedName:
			h.Unsigned = kindOf(e.Type())
		}
	}
	if h.Unsigned != "folder" {
		return h, nil
	}
	for _, name := range []string{manifest.CardsName, manifest.ProofName} {
		if h.Files, err = hold(h.Files, fsys, name, "unsigned/"+name[len(manifest.UnsignedName)+1:]); err != nil {
			return h, err
		}
	}
	return h, nil
}

// hold adds a file of the pack, or what stands in its place.
func hold(list []single.File, fsys fs.FS, name, as string) ([]single.File, error) {
	info, err := fs.Lstat(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return list, nil
	} else if err != nil {
		return list, err
	}
	f := single.File{Name: as, Kind: kindOf(info.Mode())}
	switch {
	case f.Kind == "file" && info.Size() > single.MaxHeld:
		return list, &single.TooLarge{Bytes: info.Size()}
	case f.Kind == "file":
		f.Bytes, err = fs.ReadFile(fsys, name)
	}
	return append(list, f), err
}

// kindOf is the word of a page for what a file is.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "file"
	case mode&fs.ModeSymlink != 0:
		return "link"
	}
	return "other"
}
