package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/ledger"
)

func readConfigOf(t *testing.T, text string) (ledgerConfig, error) {
	t.Helper()
	d := ledgerHome(t.TempDir())
	if err := os.WriteFile(d.config(), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(d)
	var wrong *cli.Error
	if err != nil && (!errors.As(err, &wrong) || wrong.Code != cli.ExitBadInput || !strings.HasPrefix(err.Error(), filepath.Join(string(d), "ledger.json"))) {
		t.Errorf("%q: the error does not name the file: %v", text, err)
	}
	return c, err
}

func TestAConfigurationIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []ledgerConfig{
		{Origin: "l.example/1", Listen: "127.0.0.1:0", Timestamps: ledger.TimestampsOff},
		{Origin: "\U0001f512\u2028\u0085\"\\/", Listen: "[::1]:80", Timestamps: ledger.TimestampsRequired, TSA: []string{"https://a.example", "https://b.example/x?y"}, Guard: "../g"},
	} {
		text, err := want.marshal()
		if err != nil {
			t.Fatal(err)
		}
		for name, spelled := range map[string]string{
			"as written": string(text), "tabs": strings.ReplaceAll(string(text), "  ", "\t"), "one line": strings.ReplaceAll(string(text), "\n", " "),
			"CRLF": strings.ReplaceAll(string(text), "\n", "\r\n"), "escapes": strings.NewReplacer("\U0001f512", `\ud83d\udd12`, "/", `\/`).Replace(string(text)),
		} {
			if got, err := readConfigOf(t, spelled); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
}

// Formats that look like JSON have ways to say a thing twice, or another thing than it seems. None of them is read.
func TestAConfigurationSaysOneThingOrIsRefused(t *testing.T) {
	const good = `"listen": "127.0.0.1:0", "timestamps": "off", "tsa": []`
	refused := map[string]string{ // text: what the error names
		`{"origin": "a", "origin": "b", ` + good + `}`:              "origin",
		`{"origin": "a", "\u006frigin": "b", ` + good + `}`:         "origin",
		`{"origin": "a", "Origin": "b", ` + good + `}`:              `"Origin"`,
		`{"origin": "a", "lisen": "b", ` + good + `}`:               `"lisen"`,
		`{"<<": {"origin": "a"}, ` + good + `}`:                     `"<<"`,
		`{"origin": null, ` + good + `}`:                            "origin",
		`{"origin": 5, ` + good + `}`:                               "origin",
		`{"origin": true, ` + good + `}`:                            "origin",
		`{"origin": ["a"], ` + good + `}`:                           "origin",
		`{"origin": {"a": 1}, ` + good + `}`:                        "origin",
		`{"origin": "a", "guard": null, ` + good + `}`:              "guard", // not the guard of older releases, which backups take along
		`{"origin": "a", "listen": 80, "timestamps": "off"}`:        "listen",
		`{"origin": "a", "listen": "h:1", "timestamps": false}`:     "timestamps",
		`{"origin": "a", "listen": "h:1", "timestamps": "perhaps"}`: "timestamps",
		`{"origin": "a", "listen": "nowhere", "timestamps": "off"}`: "listen",
		`{"listen": "h:1", "timestamps": "off"}`:                    "origin",
	}
	for _, list := range []string{`"http://x"`, `null`, `[null]`, `["http://a", 1]`, `[["http://a"]]`, `{"0": "http://a"}`} {
		refused[`{"origin": "a", "listen": "h:1", "timestamps": "off", "tsa": `+list+`}`] = "tsa"
	}
	for _, text := range []string{
		"", "\n", "null", "[]", `"a"`, "# " + good, `{"origin": "a", ` + good + `,}`, `{"origin": "a", ` + good + `} x`, `{"origin": "a", ` + good + `}{}`,
		"{'origin': 'a', " + good + "}", `{origin: "a", ` + good + `}`, "{\"origin\": \"a\", // c\n" + good + "}", "{\"origin\": \"a\nb\", " + good + "}",
		`{"origin": &a "a", ` + good + `}`, `{"origin": *a, ` + good + `}`, `{"origin": !!str "a", ` + good + `}`, `{"origin": off, ` + good + `}`, `{"origin": 0777, ` + good + `}`,
		"origin: a\nlisten: h:1\ntimestamps: off\n", "%YAML 1.1\n---\n{\"origin\": \"a\", " + good + "}", "---\n{\"origin\": \"a\", " + good + "}", "{\"origin\": \"a\", " + good + "}\n---\n{}",
		"\xef\xbb\xbf{\"origin\": \"a\", " + good + "}", "\xff\xfe{\x00}\x00", "{\"origin\": \"a\x00\", " + good + "}", "{\"origin\": \"\xff\", " + good + "}", `{"origin": "\ud83d", ` + good + `}`,
		`{"tsa": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, `{"origin": "` + strings.Repeat("a", 64<<10) + `", ` + good + `}`,
	} {
		refused[text] = "ledger.json"
	}
	for text, names := range refused {
		if c, err := readConfigOf(t, text); err == nil || !strings.Contains(err.Error(), names) {
			t.Errorf("%.100q: %+v, %v; want an error that names %s", text, c, err, names)
		}
	}
}

// Somebody copies the wrong file there.
func TestWhatIsNoConfigurationIsNotShown(t *testing.T) {
	const secret = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGh"
	for _, text := range []string{
		"PRIVATE+KEY+l.example/1+abcdef01+" + secret + "=\n", "-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----\n",
		`"` + secret + `"`, `{"origin": PRIVATE+KEY+x+` + secret + `}`, `{"origin": ["` + secret + `"]}`, `{"tsa": [{"k": "` + secret + `"}]}`, `{"listen": "h:1", "origin": "a", "timestamps": "off", "tsa": ["https://u:` + secret + `@tsa.example"]}`,
		`{"PRIVATE+KEY+l.example/1+abcdef01+` + secret + `=": 1}`,
	} {
		if _, err := readConfigOf(t, text); err == nil || strings.Contains(terminal.Safe(err.Error()), secret) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}
