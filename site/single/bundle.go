// Package single makes one HTML file of the verifier in site/verifier: verify.html, on which somebody drops a pack, and
// the page of a pack, which holds it. The file loads nothing and sends nothing. Its one script stands in it and is named
// by its hash in the policy of the page, so that a browser runs this script or none:
//
//	<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-…'; …">
//
// The same modules give the same bytes.
package single

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// The forms of import and export that the modules use. Any other one is an error, so nothing is read wrongly that a
// browser would read: a statement begins its line, and names what it brings or gives.
var (
	importForm = regexp.MustCompile(`^import (?:\{ ?([\w$, ]+?),? ?\}|\* as ([A-Za-z_$][\w$]*)) from '\./([a-z0-9_]+\.mjs)';$`)
	exportList = regexp.MustCompile(`^export \{ ([\w$, ]+) \}(?: from '\./([a-z0-9_]+\.mjs)')?;$`)
	exportForm = regexp.MustCompile(`^export ((?:async )?function\*? ?|class |const )([A-Za-z_$][\w$]*)\b`)
	nameForm   = regexp.MustCompile(`^([A-Za-z_$][\w$]*)(?: as ([A-Za-z_$][\w$]*))?$`)
	leftOver   = regexp.MustCompile(`(?m)^\s*(?:import|export)\b.*|\bimport\s*[.(].*`)
	endsScript = regexp.MustCompile(`(?i)<!--|</script`)
)

// module is one file: body is what remains of it without its imports and the word export.
type module struct {
	name    string
	imports []imported
	exports []string
	body    string
}

type imported struct {
	from  string
	all   string      // the name of all of it, "" for names
	names [][2]string // there, and here
}

// Bundle makes one classic script of a module and of all that it imports, each in a function of its own, so that no
// name of one is a name of another.
func Bundle(modules fs.FS, entry string) ([]byte, error) {
	b := bundler{modules: modules, done: map[string]*module{}}
	b.out.WriteString("'use strict';\n")
	if err := b.add(entry, nil); err != nil {
		return nil, err
	}
	if found := endsScript.Find(b.out.Bytes()); found != nil {
		return nil, fmt.Errorf("a script in a page may not hold %q", found)
	}
	return b.out.Bytes(), nil
}

type bundler struct {
	modules fs.FS
	done    map[string]*module
	out     bytes.Buffer
}

// add writes a module behind those that it imports; above are those that wait for it.
func (b *bundler) add(name string, above []string) error {
	for i, other := range above {
		if other == name {
			return fmt.Errorf("%s imports itself: %s", name, strings.Join(append(above[i:], name), ", "))
		}
	}
	text, err := fs.ReadFile(b.modules, name)
	if err != nil {
		return err
	}
	m, err := readModule(name, string(text))
	if err != nil {
		return err
	}
	for _, i := range m.imports {
		if b.done[i.from] == nil {
			if err := b.add(i.from, append(above, name)); err != nil {
				return err
			}
		}
		for _, pair := range i.names {
			if !b.done[i.from].gives(pair[0]) {
				return fmt.Errorf("%s: %s does not export %s", name, i.from, pair[0])
			}
		}
	}
	b.done[name] = m
	m.write(&b.out)
	return nil
}

func (m *module) gives(name string) bool {
	for _, e := range m.exports {
		if e == name {
			return true
		}
	}
	return false
}

// variable is what a module is called in the script.
func variable(name string) string { return "$" + strings.TrimSuffix(path.Base(name), ".mjs") }

func (m *module) write(out *bytes.Buffer) {
	fmt.Fprintf(out, "\n// %s\nconst %s = (() => {\n", m.name, variable(m.name))
	for _, i := range m.imports {
		var names []string
		for _, pair := range i.names {
			if pair[0] == pair[1] {
				names = append(names, pair[0])
			} else {
				names = append(names, pair[0]+": "+pair[1])
			}
		}
		if i.all != "" {
			fmt.Fprintf(out, "const %s = %s;\n", i.all, variable(i.from))
		} else {
			fmt.Fprintf(out, "const { %s } = %s;\n", strings.Join(names, ", "), variable(i.from))
		}
	}
	fmt.Fprintf(out, "%s\nreturn { %s };\n})();\n", strings.Trim(m.body, "\n"), strings.Join(m.exports, ", "))
}

// readModule takes the statements of import and export out of a module.
func readModule(name, text string) (*module, error) {
	m := &module{name: name}
	var body strings.Builder
	if strings.Contains(text, "\r") || strings.Contains(text, "\u2028") {
		return nil, fmt.Errorf("%s: expected lines that end in a line feed", name)
	}
	lines := strings.Split(text, "\n")
	for n := 0; n < len(lines); n++ {
		line := lines[n]
		switch {
		case strings.HasPrefix(line, "#!") && n == 0:
			return nil, fmt.Errorf("%s is a program, not a module", name)
		case strings.HasPrefix(line, "import "):
			first := n + 1
			for ; !strings.HasSuffix(line, ";") && n+1 < len(lines); n++ {
				line += " " + strings.TrimSpace(lines[n+1])
			}
			i, err := readImport(line)
			if err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", name, first, err)
			}
			m.imports = append(m.imports, i)
		case strings.HasPrefix(line, "export {"):
			if err := m.readList(line); err != nil {
				return nil, fmt.Errorf("%s, line %d: %w", name, n+1, err)
			}
		case strings.HasPrefix(line, "export "):
			found := exportForm.FindStringSubmatch(line)
			if found == nil {
				return nil, fmt.Errorf("%s, line %d: expected export of a function, class or const by its name", name, n+1)
			}
			m.exports = append(m.exports, found[2])
			body.WriteString(strings.TrimPrefix(line, "export ") + "\n")
		default:
			body.WriteString(line + "\n")
		}
	}
	m.body = body.String()
	if found := leftOver.FindString(m.body); found != "" {
		return nil, fmt.Errorf("%s: a form of import or export that is not known here: %s", name, strings.TrimSpace(found))
	}
	if found := regexp.MustCompile(`\$[a-z0-9_]+\b`).FindString(m.body); found != "" && found != "$" {
		return nil, fmt.Errorf("%s: %s may be the name of a module", name, found)
	}
	return m, nil
}

// readList reads "export { a, b };", and the same of another module.
func (m *module) readList(line string) error {
	found := exportList.FindStringSubmatch(line)
	if found == nil {
		return fmt.Errorf("expected export { names }, not %s", line)
	}
	i := imported{from: found[2]}
	for _, part := range strings.Split(found[1], ",") {
		name := nameForm.FindStringSubmatch(strings.TrimSpace(part))
		if name == nil || name[2] != "" {
			return fmt.Errorf("expected a name, not %q", part)
		}
		m.exports = append(m.exports, name[1])
		i.names = append(i.names, [2]string{name[1], name[1]})
	}
	if i.from != "" {
		m.imports = append(m.imports, i)
	}
	return nil
}

// readImport reads "import { a, b as c } from './name.mjs';" and "import * as a from './name.mjs';".
func readImport(line string) (i imported, err error) {
	found := importForm.FindStringSubmatch(line)
	if found == nil {
		return i, fmt.Errorf("expected import { names } from './module.mjs', not %s", line)
	}
	if i.all, i.from = found[2], found[3]; i.all != "" {
		return i, nil
	}
	for _, part := range strings.Split(found[1], ",") {
		name := nameForm.FindStringSubmatch(strings.TrimSpace(part))
		if name == nil {
			return i, fmt.Errorf("expected a name, not %q", part)
		}
		if name[2] == "" {
			name[2] = name[1]
		}
		i.names = append(i.names, [2]string{name[1], name[2]})
	}
	return i, nil
}
