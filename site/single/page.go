package single

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/Haserjian/assay-ledger/site/verifier"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
)

// entry is the module that the pages begin with.
const entry = "browser.mjs"

// MaxHeld is how many bytes of files a page holds at most. What is larger is for the command line, or for a verify.html
// on which the folder is dropped.
const MaxHeld = 64 << 20

// File is one that a page holds. Kind is "file", "link", or "other" for what is no regular file; Name is one of
//
//	pack/NAME       of the five files of the pack
//	unsigned/NAME   of its folder _unsigned
//	given/FLAG      given with a flag of verify-pack, such as --policy
type File struct {
	Name, Kind string
	Bytes      []byte
}

// Held is what a page of a pack holds.
type Held struct {
	Files    []File
	Args     []string // the other flags that the pack is held to, with their values
	Extra    []string // names in the folder of the pack that are none of a pack
	Unsigned string   // what is called _unsigned: "folder", "link", "other", or "" for nothing
}

// Verifier makes verify.html. No program puts its name into it: all that hold the same modules make the same bytes,
// which people compare by their hash.
func Verifier() ([]byte, error) { return page("Check a proof pack", "") }

// Pack makes the page of a pack. It judges itself where it is opened; here nothing is judged.
func Pack(h Held) ([]byte, error) {
	held, size := new(strings.Builder), int64(0)
	head, err := json.Marshal(struct { // json.Marshal escapes <, > and &
		Args     []string `json:"args"`
		Extra    []string `json:"extra"`
		Unsigned string   `json:"unsigned"`
	}{append([]string{}, h.Args...), append([]string{}, h.Extra...), h.Unsigned})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(held, "<script type=\"application/json\" id=\"held\">%s</script>\n", head)
	for _, f := range h.Files {
		if size += int64(len(f.Bytes)); size > MaxHeld {
			return nil, &TooLarge{size}
		}
		fmt.Fprintf(held, "<script type=\"text/plain\" data-name=\"%s\" data-kind=\"%s\">%s</script>\n", f.Name, f.Kind, base64.StdEncoding.EncodeToString(f.Bytes))
	}
	return page("A proof pack that checks itself", held.String())
}

// TooLarge is what Pack says of files that no page should hold.
type TooLarge struct{ Bytes int64 }

func (e *TooLarge) Error() string {
	return fmt.Sprintf("%d bytes are too many for a page, which holds at most %d", e.Bytes, MaxHeld)
}

// bundled is the one script of all pages.
var bundled = sync.OnceValues(func() ([]byte, error) { return Bundle(verifier.Files, entry) })

// ScriptSHA256 is the hash, in hex, of the script that every page holds.
func ScriptSHA256() (string, error) {
	script, err := bundled()
	sum := sha256.Sum256(script)
	return hex.EncodeToString(sum[:]), err
}

func page(title, held string) ([]byte, error) {
	script, err := bundled()
	if err != nil {
		return nil, err
	}
	// In one pass, so that nothing of what is put in is replaced in turn.
	put := strings.NewReplacer("{{policy}}", policy(string(script)), "{{style}}", pageStyle, "{{title}}", title,
		"{{held}}", held, "{{script}}", string(script))
	return []byte(put.Replace(pageText)), nil
}

// policy lets the browser run one script and use one style sheet, by their hashes, and load, send and run nothing else.
func policy(script string) string {
	source := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return "default-src 'none'; script-src " + source(script) + "; style-src " + source(pageStyle) +
		"; connect-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}
