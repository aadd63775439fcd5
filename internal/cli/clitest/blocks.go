//go:build unix

package clitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A document shows commands in fenced blocks of the kind console, each behind "$ ", with what they print. What
// stands behind the kind is not shown to readers:
//
//	```console                         every command is run and ends with 0
//	```console needs="curl"            the same where that program is there
//	```console not-run="wants a disk"  not run, for that reason
//
// A command goes on in the next line after a backslash. If lines follow it, they are what it prints, on stdout and
// stderr: "…" is any text, and alone any number of lines; what differs from run to run (digests, ids, times, ports,
// which witnesses were faster) may differ.

// Block is a fenced block of a Markdown file.
type Block struct {
	Path   string
	Line   int    // of its opening fence
	Kind   string // the first word of its info string
	Needs  string // a program; empty: none
	NotRun string // why it is not run; empty: it is
	Steps  []Step
}

// Step is one command, as it is given to a shell, and the lines that are shown of what it prints.
type Step struct {
	Command string
	Output  []string
}

var (
	fence = regexp.MustCompile("^(`{3,})(.*)$")
	info  = regexp.MustCompile(`^([a-z]+)((?: +[a-z-]+="[^"]+")*)$`)
	attr  = regexp.MustCompile(`([a-z-]+)="([^"]+)"`)
)

// Blocks reads the fenced blocks of a Markdown text.
func Blocks(path, text string) (blocks []Block, err error) {
	var b *Block
	var closing string
	for i, line := range strings.Split(text, "\n") {
		fenced := fence.FindStringSubmatch(line)
		switch {
		case b == nil && fenced != nil:
			if b, err = openBlock(path, i+1, fenced[2]); err != nil {
				return nil, err
			}
			closing = fenced[1]
		case b != nil && line == closing:
			blocks = append(blocks, *b)
			b = nil
		case b != nil:
			if err := b.add(line); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
			}
		}
	}
	if b != nil {
		return nil, fmt.Errorf("%s:%d: the block does not end", path, b.Line)
	}
	return blocks, nil
}

func openBlock(path string, line int, words string) (*Block, error) {
	m := info.FindStringSubmatch(words)
	if m == nil {
		return nil, fmt.Errorf("%s:%d: the block %q does not say what it is, such as console or text", path, line, words)
	}
	b := &Block{Path: path, Line: line, Kind: m[1]}
	for _, a := range attr.FindAllStringSubmatch(m[2], -1) {
		switch a[1] {
		case "needs":
			b.Needs = a[2]
		case "not-run":
			b.NotRun = a[2]
		default:
			return nil, fmt.Errorf("%s:%d: %s is neither needs nor not-run", path, line, a[1])
		}
	}
	return b, nil
}

func (b *Block) add(line string) error {
	command, isCommand := strings.CutPrefix(line, "$ ")
	last := len(b.Steps) - 1
	switch {
	case b.Kind != "console":
		if isCommand {
			return errors.New("a command in a block that is no console")
		}
	case isCommand:
		b.Steps = append(b.Steps, Step{Command: command})
	case last < 0:
		return errors.New("a console begins with a command")
	case len(b.Steps[last].Output) == 0 && strings.HasSuffix(b.Steps[last].Command, "\\"):
		b.Steps[last].Command += "\n" + line
	default:
		b.Steps[last].Output = append(b.Steps[last].Output, line)
	}
	return nil
}

// RunBlocks runs the console blocks of the documents, one after the other in one shell and one new directory, with
// the programs of bin. It fails for each command that does not end with 0 or prints something else, and if the
// number of blocks that are not run is not that of notRun. Addresses 127.0.0.1:8080 to 8089 become others, which are
// free. What the commands leave running is told to end; what would not hear of that is ended by the command end.
func RunBlocks(t *testing.T, bin, end string, notRun int, paths ...string) {
	t.Helper()
	ports := freePorts(t)
	var steps []Step
	var where []string
	left := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := Blocks(filepath.Base(path), ports.Replace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blocks {
			if b.NotRun != "" {
				left++
				continue
			}
			if _, err := exec.LookPath(b.Needs); b.Needs != "" && err != nil {
				t.Logf("%s:%d is not run: there is no %s", b.Path, b.Line, b.Needs)
				continue
			}
			for _, s := range b.Steps {
				steps = append(steps, s)
				where = append(where, fmt.Sprintf("%s, block of line %d", b.Path, b.Line))
			}
		}
	}
	if left != notRun {
		t.Errorf("%d blocks are not run, expected %d", left, notRun)
	}
	printed, failed := runSteps(t, bin, end, steps)
	for i, s := range steps {
		switch {
		case i >= len(printed):
			t.Fatalf("%s: $ %s\nwas not run", where[i], s.Command)
		case failed && i == len(printed)-1:
			t.Fatalf("%s: $ %s\nended with %s", where[i], s.Command, printed[i])
		case len(s.Output) > 0 && !Prints(s.Output, printed[i]):
			t.Errorf("%s: $ %s\nprints\n%s\nand not\n%s", where[i], s.Command, printed[i], strings.Join(s.Output, "\n"))
		}
	}
}

// mark is a line between what two commands print.
const mark = "\x1e--\x1e"

// runSteps runs the commands in one shell, and returns what each printed. After one that fails no other is run; its
// text begins with its exit code.
func runSteps(t *testing.T, bin, end string, steps []Step) (printed []string, failed bool) {
	t.Helper()
	var script strings.Builder
	// The group is what was left in the background; its files are removed when it has ended. It is told twice: a
	// program that the shell is just starting can miss the first signal.
	fmt.Fprintf(&script, "end() { %s; trap '' TERM; kill 0; sleep 0.1; kill 0; wait; } >/dev/null 2>&1\ntrap end EXIT\ntrap exit TERM\n", end)
	for _, s := range steps {
		fmt.Fprintf(&script, "%s\n__code=$?; [ $__code = 0 ] || { echo '%sfailed'$__code; exit; }; echo '%s'\n", s.Command, mark, mark)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, ".printed")) // a file: servers that go on would keep a pipe open
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c := exec.Command("sh", "-c", script.String())
	c.Dir, c.Stdout, c.Stderr = dir, out, out
	c.Env = []string{"HOME=" + filepath.Join(dir, "home"), "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "NO_COLOR=1", "TMPDIR=" + dir}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer context.AfterFunc(ctx, func() { _ = syscall.Kill(-c.Process.Pid, syscall.SIGTERM) })()
	if err := c.Wait(); err != nil {
		t.Errorf("the shell: %v", err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), mark)
	if last := parts[len(parts)-1]; strings.HasPrefix(last, "failed") {
		n := len(parts) - 2
		parts[n] = strings.TrimPrefix(last, "failed") + parts[n]
		return parts[:n+1], true
	}
	return parts[:len(parts)-1], false
}

// Prints reports whether a program printed what is shown.
func Prints(shown []string, printed string) bool {
	var pattern bytes.Buffer
	pattern.WriteString(`\A\n*`)
	for _, line := range shown {
		if strings.TrimSpace(line) == "…" {
			pattern.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		for i, part := range strings.Split(steady(line), "…") {
			if i > 0 {
				pattern.WriteString(`[^\n]*?`)
			}
			pattern.WriteString(regexp.QuoteMeta(part))
		}
		pattern.WriteString(`\n`)
	}
	pattern.WriteString(`\n*\z`)
	return regexp.MustCompile(pattern.String()).MatchString(steady(printed) + "\n")
}

// volatile is what differs from run to run.
var volatile = []struct {
	text *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\b(pack|trace)_[0-9]{8}T[0-9]{6}_[0-9a-f]{8}\b`), "${1}_ID"},
	{regexp.MustCompile(`\br_[0-9a-f]{12}\b`), "r_ID"},
	{regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]+Z)?`), "TIME"},
	{regexp.MustCompile(`\+[0-9a-f]{8}\+[A-Za-z0-9+/]{12,}=*`), "+KEY"},
	{regexp.MustCompile(`\b[0-9a-f]{12,}\b`), "DIGEST"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "ADDRESS"},
	{regexp.MustCompile(`\bprocess [0-9]+`), "process N"},
	{regexp.MustCompile(`cosigned by w[0-9][a-z.]*(, w[0-9][a-z.]*)*`), "cosigned by WITNESSES"},
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(` +\n`), "\n"},
}

func steady(text string) string {
	for _, v := range volatile {
		text = v.text.ReplaceAllString(text, v.as)
	}
	return strings.Trim(text, "\n ")
}
