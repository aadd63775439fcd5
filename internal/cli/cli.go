// Package cli is what the programs assay and ledger share at their edge: the exit
// codes, errors with a hint, and how untrusted text reaches a terminal.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
)

// The exit codes: the one table. Verdicts come first; anything that is not a verdict is 3 or more.
const (
	ExitPass        = 0  // everything asked for holds
	ExitHonestFail  = 1  // authentic evidence that a declared check failed, or that is expired, superseded or too little
	ExitTampered    = 2  // altered bytes, a bad proof or timestamp, governance drift, not what was expected
	ExitBadInput    = 3  // usage, missing file, nothing to verify
	ExitUnavailable = 4  // network, TSA, ledger or witness did not answer: safe to retry
	ExitInternal    = 70 // a bug of ours; never a verdict
)

// exitMeanings are the lines of the help pages.
var exitMeanings = []struct {
	code    int
	meaning string
}{
	{ExitPass, "everything asked for holds"},
	{ExitHonestFail, "honest failure: authentic evidence that a declared check failed, or that is expired, superseded or too little"},
	{ExitTampered, "tampered, a bad proof or time, governance drift, or not as expected (too old, another commit or signer, not anchored)"},
	{ExitBadInput, "bad input, or nothing to verify"},
	{ExitUnavailable, "unavailable: safe to retry"},
	{ExitInternal, "internal error; never a verdict"},
}

// exitsAnnotation holds the codes of Judges.
const exitsAnnotation = "verdict exits"

// Judges declares which of the verdicts ExitHonestFail and ExitTampered c may end with. Every command may
// end with the other codes. Help shows them, and a script of package clitest that sees another one fails.
func Judges(c *cobra.Command, verdicts ...int) *cobra.Command {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[exitsAnnotation] = fmt.Sprint(verdicts)
	return c
}

// exitTable is the end of c's help page. The page of a group or of the program shows all codes.
func exitTable(c *cobra.Command) string {
	var b strings.Builder
	b.WriteString("\nExit codes:\n")
	for _, e := range exitMeanings {
		verdict := e.code == ExitHonestFail || e.code == ExitTampered
		if verdict && !c.HasSubCommands() && !strings.Contains(c.Annotations[exitsAnnotation], strconv.Itoa(e.code)) {
			continue
		}
		fmt.Fprintf(&b, "  %-2d %s\n", e.code, e.meaning)
	}
	return b.String()
}

// withExitTable is called once: the functions of cobra's templates are a map of the whole process.
var withExitTable = sync.OnceFunc(func() { cobra.AddTemplateFunc("exitTable", exitTable) })

// Error is an error for a person: one phrase, the next step if we know it, and the exit code.
type Error struct {
	Code int
	Err  error
	Hint string

	judged   bool // Code is of a verdict as well, whatever Err is of
	unparsed bool // the flags behind the one that Err is about were not read
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// BadInput is an error of the caller: exit 3. hint may be empty.
func BadInput(hint, format string, args ...any) error {
	return &Error{Code: ExitBadInput, Err: fmt.Errorf(format, args...), Hint: hint}
}

// Unavailable is a failure of somebody else that may pass: exit 4.
func Unavailable(hint, format string, args ...any) error {
	return &Error{Code: ExitUnavailable, Err: fmt.Errorf(format, args...), Hint: hint}
}

// Verdict ends the program with a code and no error text: the verdict is on stdout already.
type Verdict int

func (v Verdict) Error() string { return fmt.Sprintf("exit code %d", int(v)) }

// Streams is the world a program is handed: results go to Out, talk to Err.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	Env func(string) string

	// LookupEnv tells a variable that is set and empty from one that is not; nil: nothing is known of that.
	LookupEnv func(string) (string, bool)
}

// SetButEmpty reports whether a variable is there and holds nothing.
func (s Streams) SetButEmpty(name string) bool {
	if s.LookupEnv == nil {
		return false
	}
	value, set := s.LookupEnv(name)
	return set && value == ""
}

// Run executes root and returns the exit code. It is the only place that turns errors into codes.
//
// A Go panic would exit with 2, which reads as "tampered": it is caught here and exits 70. What
// cannot be caught (a runtime failure such as no memory, SIGQUIT) would exit with 2 as well: from
// here on it aborts the process instead, which a shell sees as 134.
func Run(ctx context.Context, root *cobra.Command, args []string, s Streams) (code int) {
	debug.SetTraceback("crash")
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(s.Err, "%s: internal error: %s\n%s", root.Name(), terminal.Safe(fmt.Sprint(r)), debug.Stack())
			fmt.Fprintf(s.Err, "hint: this is a bug; nothing was verified\n")
			code = ExitInternal
		}
	}()
	root.SetArgs(jsonLast(root, args))
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(flagError)
	withExitTable()
	root.SetUsageTemplate(root.UsageTemplate() + "{{exitTable .}}")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	wantSubcommands(root)
	onceEach(root)
	const forGo = 16 // with fewer the runtime of Go would abort on the way, with many pages of its own state
	root.PersistentPreRunE = func(ran *cobra.Command, _ []string) error {
		if err := EnoughFiles(forGo); err != nil {
			return err
		}
		return noEmptyFlag(ran)
	}

	ran, err := root.ExecuteContextC(ctx)
	var verdict Verdict
	switch {
	case err == nil:
		return ExitPass
	case errors.As(err, &verdict):
		return int(verdict)
	}
	told := s.Tell(ran, err)
	if wantsJSON(ran, err, args) {
		told.printJSON(s.Out, ran)
	}
	return told.Code
}

// Tell says on stderr what went wrong: one sentence, and a hint if there is one.
func (s Streams) Tell(ran *cobra.Command, err error) *Error {
	var told *Error
	if !errors.As(err, &told) {
		told = classify(err, ran)
	}
	// The words of the whole chain, with the code and the hint of the Error in it.
	text, suggestions, suggested := strings.Cut(err.Error(), "\n\nDid you mean this?\n")
	text = nameFlag(ran, err, strings.ReplaceAll(text, "\n", "; "))
	told = &Error{Code: exitCodeOf(err), Err: errors.New(text), Hint: told.Hint}
	if told.Code == ExitUnavailable && told.Hint == "" {
		told.Hint = hintOf(err)
	}
	if suggested { // cobra's, for commands
		told.Hint = "did you mean " + strings.Join(strings.Fields(suggestions), " or ") + "? " + told.Hint
	}
	if looks := lookAtInputs(ran, text); looks != "" && told.Code == ExitBadInput {
		told.Hint = strings.TrimSuffix(looks+"; "+told.Hint, "; ")
	}
	fmt.Fprintf(s.Err, "%s: %s\n", ran.CommandPath(), terminal.Safe(told.Error()))
	if told.Hint != "" {
		fmt.Fprintf(s.Err, "hint: %s\n", terminal.Safe(told.Hint))
	}
	return told
}

// printJSON says it once more to a machine that was promised one object on stdout.
func (e *Error) printJSON(out io.Writer, ran *cobra.Command) {
	text, err := json.MarshalIndent(struct {
		Command  string `json:"command"`
		Status   string `json:"status"`
		ExitCode int    `json:"exit_code"`
		Error    string `json:"error"`
		Hint     string `json:"hint,omitempty"`
	}{commandName(ran), "error", e.Code, e.Error(), e.Hint}, "", "  ")
	if err == nil {
		_, _ = out.Write(terminal.SafeJSON(append(text, '\n'))) // the exit code stands, whoever reads
	}
}

// commandName is the command without the program: "lock check".
func commandName(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

// wantSubcommands makes every command that does nothing by itself exit with 3: cobra would print
// help and exit with 0, which reads as "pass" where a subcommand got lost in a script.
func wantSubcommands(c *cobra.Command) {
	switch {
	case c.Name() == "help":
		c.Run, c.RunE = nil, func(c *cobra.Command, args []string) error {
			topic, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return BadInput(fmt.Sprintf("run '%s --help'", c.Root().Name()), "no help on %q", strings.Join(args, " "))
			}
			return topic.Help()
		}
	case !c.Runnable():
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return BadInput(fmt.Sprintf("run '%s --help'", c.CommandPath()), "unknown command %q for %q", args[0], c.CommandPath())
			}
			if err := c.Help(); err != nil {
				return err
			}
			return BadInput("", "%s wants a subcommand", c.Name())
		}
	}
	for _, sub := range c.Commands() {
		wantSubcommands(sub)
	}
}

// classify gives errors that nobody dressed a code: those of cobra and of the file system are the caller's.
func classify(err error, ran *cobra.Command) *Error {
	e := &Error{Code: ExitBadInput, Err: err, Hint: fmt.Sprintf("run '%s --help'", ran.CommandPath())}
	var path *fs.PathError
	if errors.As(err, &path) {
		e.Hint = ""
	}
	return e
}

// Args dresses a cobra argument check with exit 3 and a usage hint.
func Args(check cobra.PositionalArgs, want string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return BadInput(fmt.Sprintf("run '%s --help'", c.CommandPath()), "%s wants %s", c.Name(), want)
		}
		return nil
	}
}

// ReadSecret reads a key file: regular, not a link, nobody else's to read, at most 64 KiB. See HoldSecret. All
// of that is asked of the file that is open, whatever has its name by then.
func ReadSecret(path string) ([]byte, error) {
	HoldSecret()
	f, err := durable.OpenItself(path, os.O_RDONLY, 0)
	return readFile(path, f, err, 0o077, 64<<10)
}

// ReadFile reads a regular file of at most limit bytes; it never waits for a FIFO or a device.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := durable.Open(path)
	return readFile(path, f, err, 0, limit)
}

// readFile reads and closes what was opened. It refuses a file with one of the bits of forbidden in its mode.
func readFile(path string, f *os.File, err error, forbidden fs.FileMode, limit int64) ([]byte, error) {
	if none, ok := errors.AsType[*durable.NotRegular](err); ok && none.Mode.IsDir() {
		return nil, BadInput("", "%s is a directory, want a file", path)
	} else if ok {
		return nil, BadInput("", "%s is not a regular file", path)
	} else if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.Mode()&forbidden != 0:
		return nil, BadInput("chmod 600 "+path, "%s is readable by others (mode %04o)", path, info.Mode().Perm())
	case info.Size() > limit:
		return nil, BadInput("", "%s has %d bytes, at most %d are read", path, info.Size(), limit)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, BadInput("", "%s grew past %d bytes while it was read", path, limit)
	}
	return data, err
}
