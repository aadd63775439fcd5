package single

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func modules(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestTheScriptIsTheModulesInTheOrderOfTheirImports(t *testing.T) {
	script, err := Bundle(modules(map[string]string{
		"top.mjs":  "// The top.\nimport { one, two as deux } from './low.mjs';\nimport {\n  three,\n} from './mid.mjs';\nimport * as mid from './mid.mjs';\none(deux, three, mid.Six);\n",
		"mid.mjs":  "import { two } from './low.mjs';\nexport { Six } from './low.mjs';\nexport const three = two + 1;\nexport { two };\n",
		"low.mjs":  "export function one() {}\nexport const two = 2, four = 4;\nexport async function* five() {}\nexport class Six {}\n",
		"else.mjs": "export { nothing }",
	}), "top.mjs")
	want := `'use strict';

// low.mjs
const $low = (() => {
function one() {}
const two = 2, four = 4;
async function* five() {}
class Six {}
return { one, two, five, Six };
})();

// mid.mjs
const $mid = (() => {
const { two } = $low;
const { Six } = $low;
const three = two + 1;
return { Six, three, two };
})();

// top.mjs
const $top = (() => {
const { one, two: deux } = $low;
const { three } = $mid;
const mid = $mid;
// The top.
one(deux, three, mid.Six);
return {  };
})();
`
	if err != nil || string(script) != want {
		t.Errorf("%v\n%s", err, script)
	}
}

func TestAFormOfImportOrExportThatIsNotKnownIsRefused(t *testing.T) {
	const other = "export const a = 1;\n"
	for name, text := range map[string]string{
		"all and some":         "import * as a, { b } from './other.mjs';\n",
		"a renamed export":     "const a = 1;\nexport { a as b };\n",
		"passed on, not there": "export { b } from './other.mjs';\n",
		"a default":            "import a from './other.mjs';\n",
		"for its effect":       "import './other.mjs';\n",
		"from Node":            "import fs from 'node:fs';\n",
		"names from Node":      "import { readFile } from 'node:fs';\n",
		"from elsewhere":       "import { a } from 'https://example.com/other.mjs';\n",
		"from another place":   "import { a } from '../other.mjs';\n",
		"double quotes":        "import { a } from \"./other.mjs\";\n",
		"two on a line":        "import { a } from './other.mjs'; import { b } from './other.mjs';\n",
		"an odd name":          "import { a as b as c } from './other.mjs';\n",
		"what is not there":    "import { b } from './other.mjs';\n",
		"no such module":       "import { a } from './none.mjs';\n",
		"later":                "const a = await import('./other.mjs');\n",
		"inside":               "if (true) {\n  import { a } from './other.mjs';\n}\n",
		"about itself":         "const a = import.meta.url;\n",
		"an export default":    "export default 1;\n",
		"an export of all":     "export * from './other.mjs';\n",
		"a variable":           "export let a = 1;\n",
		"two in a pattern":     "export const { a, b } = {};\n",
		"an inner export":      "  export const a = 1;\n",
		"a circle":             "import { a } from './circle.mjs';\n",
		"itself":               "import { a } from './top.mjs';\nexport const a = 1;\n",
		"a program":            "#!/usr/bin/env node\n",
		"other line ends":      "const a = 1;\r\n",
		"a module's name":      "const $other = 1;\n",
		"an end of scripts":    "const a = '</SCRIPT>';\n",
		"a comment of HTML":    "const a = '<!--';\n",
	} {
		_, err := Bundle(modules(map[string]string{"top.mjs": text, "other.mjs": other, "circle.mjs": "import { b } from './top.mjs';\nexport const a = 1;\n"}), "top.mjs")
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := Bundle(modules(map[string]string{"top.mjs": "import { a } from './other.mjs';\n", "other.mjs": other}), "top.mjs"); err != nil {
		t.Error(err)
	}
}

var held = Held{
	Files: []File{{"pack/pack_manifest.json", "file", []byte("{}")}, {"pack/receipt_pack.jsonl", "link", nil}, {"given/--policy", "file", []byte("{{script}}")}},
	Args:  []string{"--expected-ref", "</script><!--{{style}}"}, Extra: []string{"<b>&"}, Unsigned: "folder",
}

func TestAPageRunsOneScriptThatItsPolicyNames(t *testing.T) {
	verifier, err := Verifier()
	if err != nil {
		t.Fatal(err)
	}
	pack, err := Pack(held)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := ScriptSHA256()
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range map[string][]byte{"verify.html": verifier, "pack.html": pack} {
		policy := regexp.MustCompile(`^<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="([^"]*)">\n`).FindSubmatch(page)
		scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllSubmatch(page, -1)
		styles := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllSubmatch(page, -1)
		if policy == nil || len(scripts) != 1 || len(styles) != 1 {
			t.Fatalf("%s: %q, %d scripts, %d styles", name, policy, len(scripts), len(styles))
		}
		source := func(text []byte) string {
			sum := sha256.Sum256(text)
			return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		}
		want := "default-src 'none'; script-src " + source(scripts[0][1]) + "; style-src " + source(styles[0][1]) +
			"; connect-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
		if string(policy[1]) != want {
			t.Errorf("%s: policy %s\nwant   %s", name, policy[1], want)
		}
		if got := sha256.Sum256(scripts[0][1]); hex.EncodeToString(got[:]) != sum {
			t.Errorf("%s: the script is %x, and --script-sha256 says %s", name, got, sum)
		}
		if found := regexp.MustCompile(`(?i) (?:on[a-z]+|style|src|srcset|action)=|<(?:link|img|iframe|object|base)\b|https?://`).Find(bytes.ReplaceAll(page, scripts[0][1], nil)); found != nil {
			t.Errorf("%s: the page says %q", name, found)
		}
	}
	again, err := Pack(held)
	if err != nil || !bytes.Equal(again, pack) {
		t.Errorf("the second page of a pack is another one (%v)", err)
	}
}

func TestWhatAPageHoldsIsNoMarkup(t *testing.T) {
	page, err := Pack(held)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<script type=\"application/json\" id=\"held\">{\"args\":[\"--expected-ref\",\"\\u003c/script\\u003e\\u003c!--{{style}}\"],\"extra\":[\"\\u003cb\\u003e\\u0026\"],\"unsigned\":\"folder\"}</script>\n",
		"<script type=\"text/plain\" data-name=\"pack/pack_manifest.json\" data-kind=\"file\">e30=</script>\n",
		"<script type=\"text/plain\" data-name=\"pack/receipt_pack.jsonl\" data-kind=\"link\"></script>\n",
		"<script type=\"text/plain\" data-name=\"given/--policy\" data-kind=\"file\">e3tzY3JpcHR9fQ==</script>\n",
	} {
		if n := strings.Count(string(page), want); n != 1 {
			t.Errorf("%d times %s", n, want)
		}
	}
	if n := bytes.Count(page, []byte("</script>")); n != 5 {
		t.Errorf("%d scripts end", n)
	}
}

func TestAPageHoldsSoManyBytesAndNoMore(t *testing.T) {
	half := make([]byte, MaxHeld/2)
	if _, err := Pack(Held{Files: []File{{"pack/a", "file", half}, {"pack/b", "file", half}}}); err != nil {
		t.Error(err)
	}
	_, err := Pack(Held{Files: []File{{"pack/a", "file", half}, {"pack/b", "file", half}, {"pack/c", "file", []byte("x")}}})
	if tooLarge := (*TooLarge)(nil); !errors.As(err, &tooLarge) || tooLarge.Bytes != MaxHeld+1 {
		t.Errorf("%v", err)
	}
}

// A page that is one file cannot link the style sheet of the site, so it repeats the colours and letters.
func TestThePagesHaveTheColoursOfTheSite(t *testing.T) {
	sheet, err := os.ReadFile("../pages/static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?s)\n:root \{\n.*?\n\}\n@media screen and \(prefers-color-scheme: dark\) \{\n.*?\n\}\n`)
	site, mine := names.Find(sheet), names.FindString(pageStyle)
	if len(site) < 1000 || mine != string(site) {
		t.Errorf("page.css names\n%s\nand style.css\n%s", mine, site)
	}
}
