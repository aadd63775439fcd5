package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noEmptyFlag refuses --flag "": so a script passes a variable that is not set, and what it meant to ask
// for (a lock, a signer, an end of validity) must not silently be asked for no more.
func noEmptyFlag(ran *cobra.Command) (err error) {
	ran.Flags().Visit(func(f *pflag.Flag) {
		values := valuesOf(f)
		const hint = "is a variable not set? leave the flag out if nothing is meant"
		name, usage := pflag.UnquoteUsage(f)
		switch {
		case err != nil:
		case slices.Contains(values, "-") && slices.Contains(fileWords, name) && !strings.Contains(usage, "stdin"):
			err = BadInput("a result goes to stdout where no file is named; a file that is called so is ./-", "--%s - names no file", f.Name)
		case len(values) == 0, len(values) == 1 && values[0] == "":
			err = BadInput(hint, "--%s is empty", f.Name)
		case slices.Contains(values, ""):
			err = BadInput(hint, "--%s has an empty name in it", f.Name)
		}
	})
	return err
}

// fileWords are what help calls the value of a flag that is, or may be, the name of a file.
var fileWords = []string{"FILE", "DIR", "CARD", "CARDS", "KEY", "KEYS"}

func valuesOf(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}

// onceFlag is a flag's value that is set once: of two lockfiles the first must not silently be asked for no more.
type onceFlag struct {
	pflag.Value
	set bool
}

func (o *onceFlag) Set(text string) error {
	if o.set {
		return errors.New("it is given twice")
	}
	o.set = true
	return o.Value.Set(text)
}

// onceEach makes it an error to give a flag twice that holds one value.
func onceEach(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		_, many := f.Value.(pflag.SliceValue)
		_, wrapped := f.Value.(*onceFlag)
		if !many && !wrapped && f.Value.Type() != "bool" {
			f.Value = &onceFlag{Value: f.Value}
		}
	})
	for _, sub := range c.Commands() {
		onceEach(sub)
	}
}

// flagError adds the nearest flag to an unknown one, as cobra does for commands only.
func flagError(c *cobra.Command, err error) error {
	hint := fmt.Sprintf("run '%s --help'", c.CommandPath())
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if best := nearestFlag(c, unknown.GetSpecifiedName()); best != "" {
			hint = fmt.Sprintf("did you mean --%s? %s", best, hint)
		}
	}
	return &Error{Code: ExitBadInput, Err: err, Hint: hint, unparsed: true}
}

// wantsJSON reports whether a machine was promised one object on stdout: also by a --json behind the flag that err
// is about.
func wantsJSON(ran *cobra.Command, err error, args []string) bool {
	f := ran.Flags().Lookup("json")
	if f == nil || f.Value.String() == "true" {
		return f != nil
	}
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	var told *Error
	return errors.As(err, &told) && told.unparsed && (slices.Contains(args, "--json") || slices.Contains(args, "--json=true"))
}

// nearestFlag is the flag of c that is fewest edits from name, a third of its letters at most; failing that,
// one that begins with it or with which it begins.
func nearestFlag(c *cobra.Command, name string) (best string) {
	distance, longer := max(2, len(name)/3)+1, ""
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if d := editDistance(name, f.Name); d < distance {
			best, distance = f.Name, d
		}
		if len(name) > 2 && longer == "" && (strings.HasPrefix(f.Name, name) || strings.HasPrefix(name, f.Name)) {
			longer = f.Name
		}
	})
	if best == "" {
		return longer
	}
	return best
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost++
			}
			previous = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// jsonLast moves --json from before the subcommand, where people put it too, to behind it.
func jsonLast(root *cobra.Command, args []string) []string {
	if len(args) < 2 || args[0] != "--json" {
		return args
	}
	ran, rest, err := root.Find(args[1:])
	if err != nil || ran == root {
		return args
	}
	return slices.Concat(strings.Fields(ran.CommandPath())[1:], args[:1], rest)
}

// nameFlag says which flag gave the file that err is about: with three files on a command line, "open x: no such
// file or directory" sends people to the wrong one.
func nameFlag(ran *cobra.Command, err error, text string) string {
	var path *fs.PathError
	about := func(value string) bool {
		return value != "" && (errors.As(err, &path) && path.Path == value || strings.HasPrefix(text, value+":") || strings.HasPrefix(text, value+" is "))
	}
	named := ""
	ran.Flags().Visit(func(f *pflag.Flag) {
		if named == "" && slices.ContainsFunc(valuesOf(f), about) {
			named = "--" + f.Name
		}
	})
	if named == "" || strings.Contains(text, named) {
		return text
	}
	if errors.As(err, &path) {
		return named + ": " + text
	}
	return named + " " + text // which begins with the flag's value
}
