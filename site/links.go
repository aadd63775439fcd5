package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
			for _, a := range tokens.Token().Attr {
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

// links follows the links of every page inside the site.
func (k *checker) links(ctx context.Context) error {
	documents := map[string]document{}
	open := func(name string) (document, error) {
		d, known := documents[name]
		if known {
			return d, nil
		}
		text, err := k.Site.Read(ctx, name, maxFile)
		if isMissing(err) {
			return d, nil // said already
		}
		if err == nil {
			d, err = readDocument(text)
		}
		documents[name] = d
		return d, err
	}
	for name := range k.names {
		if !strings.HasSuffix(name, ".html") || name == "verify.html" { // whose script is one text, and links nowhere
			continue
		}
		d, err := open(name)
		if err != nil {
			return err
		}
		for _, link := range d.links {
			target, fragment, inside := resolve(name, link)
			if !inside {
				continue
			}
			k.Links++
			if strings.HasPrefix(target, "..") || !k.names[target] {
				k.found(name, fmt.Sprintf("links to %.200q, which is not there", link))
			} else if fragment != "" && strings.HasSuffix(target, ".html") {
				if to, err := open(target); err != nil {
					return err
				} else if !to.ids[fragment] {
					k.found(name, fmt.Sprintf("links to %.200q, which has no such place", link))
				}
			}
		}
	}
	return nil
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
