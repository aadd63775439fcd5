package site

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// descriptionFile says what the folder is. It is also the mark by which a build knows that a folder is one of its own.
const (
	descriptionFile = ".well-known/assay-ledger.json"
	securityFile    = ".well-known/security.txt"
	siteFormat      = "assay-ledger site v1"
)

// Description is .well-known/assay-ledger.json: what the site is. How much of it there is, the files checkpoint and
// checkpoints/count tell.
type Description struct {
	Origin, VKey string
	Program      string   // that made it: another one makes other pages of the same log
	BasePath     string   // "/" or "/name/": where on its host the site is meant to stand
	Contact      []string // of security.txt
	Roots        bool     // there is a file tsa-roots.pem
}

// formats and paths are what a stranger needs to read the site.
var (
	formats = [][2]string{
		{"checkpoint", "https://c2sp.org/tlog-checkpoint"},
		{"tile", "https://c2sp.org/tlog-tiles"},
		{"policy", "https://c2sp.org/tlog-policy"},
		{"site", "https://github.com/Haserjian/assay-ledger/blob/main/docs/spec/site.md"},
	}
	paths = [][2]string{
		{"checkpoint", "checkpoint"},
		{"tile", "tile/<L>/<N>[.p/<W>]"},
		{"entries", "tile/entries/<N>[.p/<W>]"},
		{"checkpoints", "checkpoints/<N>[.p/<W>]"},
		{"checkpoints_count", "checkpoints/count"},
		{"policy", "policy"},
		{"lookup", "lookup/<first digits of a digest>"},
		{"heads", "heads/<first digits of a digest>"},
		{"prev", "prev/<N>[.p/<W>]"},
		{"entry", "entry/index.html?i=<index>"},
	}
)

// Marshal writes the one form that ParseDescription reads.
func (d Description) Marshal() ([]byte, error) {
	contact := make([]jcs.Value, len(d.Contact))
	for i, c := range d.Contact {
		contact[i] = jcs.Str(c)
	}
	text, err := jcs.AppendPretty(nil, jcs.Obj(
		jcs.M("format", jcs.Str(siteFormat)),
		jcs.M("origin", jcs.Str(d.Origin)),
		jcs.M("vkey", jcs.Str(d.VKey)),
		jcs.M("program", jcs.Str(d.Program)),
		jcs.M("base_path", jcs.Str(d.BasePath)),
		jcs.M("contact", jcs.Arr(contact...)),
		jcs.M("tsa_roots", jcs.Boolean(d.Roots)),
		jcs.M("formats", texts(formats)),
		jcs.M("paths", texts(paths)),
	))
	return append(text, '\n'), err
}

func texts(pairs [][2]string) jcs.Value {
	var members []jcs.Member
	for _, p := range pairs {
		members = append(members, jcs.M(p[0], jcs.Str(p[1])))
	}
	return jcs.Obj(members...)
}

// ParseDescription accepts exactly what Marshal writes.
func ParseDescription(text []byte) (Description, error) {
	v, err := jcs.Parse(text, jcs.Limits{Bytes: 64 << 10})
	if err != nil {
		return Description{}, fmt.Errorf("description of a site: %w", err)
	}
	word := func(name string) string { m, _ := v.Get(name); return m.Text }
	d := Description{Origin: word("origin"), VKey: word("vkey"), Program: word("program"), BasePath: word("base_path")}
	contact, _ := v.Get("contact")
	for _, c := range contact.Items {
		d.Contact = append(d.Contact, c.Text)
	}
	roots, _ := v.Get("tsa_roots")
	d.Roots = roots.Bool
	if err := d.check(); err != nil {
		return Description{}, err
	}
	if again, err := d.Marshal(); err != nil || !bytes.Equal(again, text) {
		return Description{}, fmt.Errorf("description of a site: not of the form %q", siteFormat)
	}
	return d, nil
}

func (d Description) check() error {
	if err := CheckBasePath(d.BasePath); err != nil {
		return err
	}
	return CheckContacts(d.Contact)
}

// CheckBasePath tells whether a path is "/" or "/a/b/": segments of letters, digits and -._~ between slashes.
func CheckBasePath(path string) error {
	if path == "/" {
		return nil
	}
	inner, ok := strings.CutPrefix(path, "/")
	inner, closed := strings.CutSuffix(inner, "/")
	for segment := range strings.SplitSeq(inner, "/") {
		bad := strings.Trim(segment, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") != ""
		if !ok || !closed || bad || segment == "" || segment == "." || segment == ".." || len(path) > 256 {
			return fmt.Errorf("base path %q is not of the form /name/", path)
		}
	}
	return nil
}

// uriCharacters are those of RFC 3986, so nothing of a contact is escaped in the description or in security.txt.
var uriCharacters = regexp.MustCompile(`^([A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*$`)

// CheckContacts tells whether each is a URI that security.txt may name.
func CheckContacts(list []string) error {
	if len(list) > 8 {
		return fmt.Errorf("%d contacts, at most 8", len(list))
	}
	for _, c := range list {
		u, err := url.Parse(c)
		// SPEC RFC 9116: "It MUST have a value that is a URI"; web URIs begin with https.
		ok := err == nil && (u.Scheme == "mailto" && strings.Contains(u.Opaque, "@") || u.Scheme == "https" && u.Host != "" || u.Scheme == "tel" && u.Opaque != "")
		if !ok || len(c) > 256 || !uriCharacters.MatchString(c) {
			return fmt.Errorf("contact %q is not a mailto:, https: or tel: URI", c)
		}
	}
	return nil
}

// lastSecond is the last one that RFC 3339 can write.
var lastSecond = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// security is .well-known/security.txt (RFC 9116). It has no clock: it expires a year after the newest entry.
func security(contact []string, at time.Time) []byte {
	var text bytes.Buffer
	for _, c := range contact {
		fmt.Fprintf(&text, "Contact: %s\n", c)
	}
	expires := at.UTC().AddDate(1, 0, 0)
	if expires.After(lastSecond) {
		expires = lastSecond
	}
	fmt.Fprintf(&text, "Expires: %s\n", expires.Format(time.RFC3339))
	return text.Bytes()
}
