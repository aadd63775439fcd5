package clitest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Documented fails for each command line of program in the Markdown files at paths that the program does not
// have: an unknown subcommand, or a flag that the command's help does not name. help returns the help page of
// the command that the words name.
func Documented(t *testing.T, program string, help func(words ...string) string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := commandLines(program, string(text))
		if len(lines) == 0 {
			t.Errorf("%s shows no command of %s", path, program)
		}
		for _, line := range lines {
			if err := checkLine(program, line, help); err != nil {
				t.Errorf("%s: %s: %v", path, line, err)
			}
		}
	}
}

// commandLines are the shown commands of program: between backticks, or in a fenced block after "$ ".
func commandLines(program, markdown string) (lines []string) {
	markdown = strings.NewReplacer("\\\n", " ", `\|`, "|").Replace(markdown)
	shown := regexp.MustCompile("(?m)`" + program + " [^`]*`|^\\$ " + program + " .*$")
	for _, line := range shown.FindAllString(markdown, -1) {
		line, _, _ = strings.Cut(strings.Trim(line, "`$ "), " # ")
		lines = append(lines, strings.TrimRight(line, " &"))
	}
	return lines
}

var commandWord = regexp.MustCompile(`^[a-z]+(-[a-z]+)*(\|[a-z]+(-[a-z]+)*)*$`)

func checkLine(program, line string, help func(words ...string) string) error {
	line, _, _ = strings.Cut(line, " -- ") // after it comes a program of the user's
	words := strings.Fields(line)[1:]
	page, path := help(), []string(nil)
	for _, word := range words {
		if !strings.Contains(page, " [command]\n") {
			break
		}
		if !commandWord.MatchString(word) {
			return fmt.Errorf("%s wants a subcommand, not %q", strings.Join(append([]string{program}, path...), " "), word)
		}
		alternatives := strings.Split(word, "|")
		for _, a := range alternatives { // the page of an unknown command is that of its parent
			usage := strings.Join(append([]string{"\nUsage:\n ", program}, append(slices.Clone(path), a)...), " ")
			if !strings.Contains(help(append(slices.Clone(path), a)...), usage) {
				return fmt.Errorf("there is no command %q in %s", a, strings.Join(append([]string{program}, path...), " "))
			}
		}
		path = append(path, alternatives[0])
		page = help(path...)
	}
	for _, word := range words {
		if flag, _, _ := strings.Cut(word, "="); strings.HasPrefix(flag, "-") && flag != "-" &&
			!slices.Contains(regexp.MustCompile(`-[-a-zA-Z0-9]+`).FindAllString(page, -1), flag) {
			return fmt.Errorf("%s has no flag %s", strings.Join(append([]string{program}, path...), " "), flag)
		}
	}
	return nil
}
