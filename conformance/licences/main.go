// Program licences writes THIRD_PARTY_LICENSES.txt: the licence texts of Go and of every module that the
// released programs link, on any platform they are released for. It reads the module cache.
//
//	go run ./conformance/licences >THIRD_PARTY_LICENSES.txt
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// released are the programs for each platform; the Makefile's dist builds the same.
var released = map[string][]string{
	"linux/amd64": {"assay", "ledger"}, "linux/arm64": {"assay", "ledger"},
	"darwin/amd64": {"assay"}, "darwin/arm64": {"assay"}, "windows/amd64": {"assay"},
}

func main() {
	text, err := licences()
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

type module struct{ Path, Version, Dir string }

// licences is the whole file. Modules with one text share it.
func licences() ([]byte, error) {
	folders, err := linked()
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	goroot := strings.TrimSpace(string(root))
	folders[module{Path: "Go, its runtime and standard library", Dir: goroot}] = []string{goroot}
	users := map[string][]string{} // by text
	for m, dirs := range folders {
		texts, err := textsOf(m, dirs)
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			name := strings.TrimSpace(m.Path + " " + m.Version)
			if !slices.Contains(users[text], name) {
				users[text] = append(users[text], name)
			}
		}
	}
	return write(users), nil
}

// linked are the modules that some released program links, each with the folders of its linked packages
// and those above them.
func linked() (map[module][]string, error) {
	folders := map[module][]string{}
	for platform, programs := range released {
		system, machine, _ := strings.Cut(platform, "/")
		args := []string{"list", "-deps", "-json=Dir,Module"}
		for _, program := range programs {
			args = append(args, "github.com/Haserjian/assay-ledger/cmd/"+program)
		}
		list := exec.Command("go", args...)
		list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+machine)
		list.Stderr = os.Stderr
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("go list for %s: %w", platform, err)
		}
		for d := json.NewDecoder(bytes.NewReader(out)); ; {
			var p struct {
				Dir    string
				Module *struct {
					module
					Main bool
				}
			}
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			if p.Module == nil || p.Module.Main {
				continue
			}
			m := p.Module.module
			for dir := p.Dir; strings.HasPrefix(dir, m.Dir); dir = filepath.Dir(dir) {
				if !slices.Contains(folders[m], dir) {
					folders[m] = append(folders[m], dir)
				}
			}
		}
	}
	return folders, nil
}

// licenceFile: logos are not in the programs.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([-._].*)?$`)

func textsOf(m module, dirs []string) (texts []string, err error) {
	for _, dir := range dirs {
		files, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if f.IsDir() || !licenceFile.MatchString(f.Name()) || strings.HasSuffix(f.Name(), ".go") || f.Name() == "LICENSE-LOGO" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				return nil, err
			}
			texts = append(texts, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
		}
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("%s %s has no licence file", m.Path, m.Version)
	}
	return texts, nil
}

func write(users map[string][]string) []byte {
	for _, names := range users {
		slices.Sort(names)
	}
	inOrder := slices.SortedFunc(maps.Keys(users), func(a, b string) int {
		if c := slices.Compare(users[a], users[b]); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	var out bytes.Buffer
	out.WriteString("The programs assay and ledger are under the licence in LICENSE. They contain the following works of others.\n")
	for _, text := range inOrder {
		fmt.Fprintf(&out, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(users[text], "\n"), text)
	}
	return out.Bytes()
}
