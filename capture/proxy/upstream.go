package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Upstream is where requests by name go.
type Upstream struct {
	Base     *url.URL // scheme, host and perhaps a path, to which the rest of a request's path is appended
	Provider string   // such as openai
}

func (u Upstream) check() error {
	switch {
	case u.Base == nil || u.Base.Scheme != "http" && u.Base.Scheme != "https":
		return errors.New("expected an http or https URL")
	case u.Base.Host == "" || u.Base.Hostname() == "":
		return errors.New("expected a URL with a host")
	case u.Base.User != nil || u.Base.RawQuery != "" || u.Base.Fragment != "":
		return errors.New("expected a URL without user, query and fragment")
	case u.Provider == "":
		return errors.New("expected a provider")
	}
	return nil
}

// authority is the host of a URL, in lowercase and with its port unless it is that of the scheme.
func authority(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		if strings.Contains(host, ":") {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, port)
}

// target is where a request goes.
type target struct {
	provider string
	url      *url.URL // whole, with the path and query as they were written
	path     string   // behind the upstream's host, without query
}

// errRefused is a request that is forwarded to nobody (CAP-3).
var errRefused = errors.New("refused")

// target appends a path and query to the upstream's base, as they were written.
func (u Upstream) target(rest string) (target, error) {
	// The AI SDK's client of Anthropic has /v1 in its default base, and leaves it out under one that it is given.
	if u.Provider == "anthropic" && strings.Trim(u.Base.Path, "/") == "" && (rest == "/messages" || strings.HasPrefix(rest, "/messages?") || strings.HasPrefix(rest, "/messages/")) {
		rest = "/v1" + rest
	}
	path, query, hasQuery := strings.Cut(strings.TrimSuffix(u.Base.EscapedPath(), "/")+rest, "?")
	if path == "" {
		path = "/"
	}
	out := &url.URL{Scheme: u.Base.Scheme, Host: u.Base.Host, RawQuery: query, ForceQuery: hasQuery && query == ""}
	var err error
	if out.Path, err = url.PathUnescape(path); err == nil {
		out.RawPath = path
	}
	if out.EscapedPath() != path { // it would be escaped anew: Opaque is sent as it stands
		if out.Path, out.RawPath, out.Opaque = "", "", path; strings.HasPrefix(path, "//") {
			return target{}, fmt.Errorf("%w: a path that cannot be forwarded", errRefused)
		}
	}
	return target{u.Provider, out, path}, nil
}
