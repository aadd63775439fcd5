package site

import (
	"bytes"
	"errors"
	"io"
	"net/url"
	"path"
	"strings"

	"golang.org/x/net/html"
)

// document is what of a page links are about.
type document struct {
	links []string
	ids   map[string]bool
	base  bool // links lead elsewhere than they say
}

// readDocument finds the links and their targets in a page.
func readDocument(page []byte) (document, error) {
	d := document{ids: map[string]bool{}}
	tokens := html.NewTokenizer(bytes.NewReader(page))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			if err := tokens.Err(); !errors.Is(err, io.EOF) {
				return d, err
			}
			return d, nil
		case html.StartTagToken, html.SelfClosingTagToken:
			token := tokens.Token()
			d.base = d.base || token.Data == "base"
			for _, a := range token.Attr {
				switch a.Key {
				case "href", "src", "action":
					d.links = append(d.links, a.Val)
				case "id":
					d.ids[a.Val] = true
				}
			}
		}
	}
}

// resolve tells where in the site a link leads; false if it leaves it for another host.
func resolve(from, link string) (target, fragment string, inside bool) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "" || u.Host != "" {
		return "", "", err != nil // what is no URL leads nowhere
	}
	switch {
	case u.Path == "":
		target = from
	case strings.HasPrefix(u.Path, "/"): // a site may stand anywhere
		target = "../" + u.Path
	case strings.HasSuffix(u.Path, "/"):
		target = path.Join(path.Dir(from), u.Path, "index.html")
	default:
		target = path.Join(path.Dir(from), u.Path)
	}
	return target, u.Fragment, true
}
