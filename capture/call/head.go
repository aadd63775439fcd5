package call

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// RequestHead is the head of a request as the program sent it.
type RequestHead struct {
	Method string
	Path   string              // as on the wire (escaped), without the query
	Query  string              // as on the wire; nothing of it is recorded, but a key in it is one to leave out everywhere
	Header map[string][]string // names in the canonical case of net/http: X-Stainless-Lang
}

// ResponseHead is the head of the final response.
type ResponseHead struct {
	Status int
	Header map[string][]string
}

// header is the first field of that name, if it is printable and not longer than any that is recorded.
func header(h map[string][]string, name string) string {
	if len(h[name]) == 0 || len(h[name][0]) > 1024 || !printable(h[name][0]) {
		return ""
	}
	return h[name][0]
}

// secrets are the credentials that a request carries: nothing that holds one of them is recorded, whoever said it.
func secrets(head RequestHead) (list []string) {
	add := func(s string) {
		if s = strings.TrimSpace(s); len(s) >= 8 {
			list = append(list, s)
		}
	}
	for name, fields := range head.Header {
		if !secretName(name) {
			continue
		}
		for _, f := range fields {
			add(f)
			if _, credentials, ok := strings.Cut(f, " "); ok { // Bearer …
				add(credentials)
			}
		}
	}
	for pair := range strings.SplitSeq(head.Query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if secretName(name) {
			add(value)
			if plain, err := url.QueryUnescape(value); err == nil && plain != value {
				add(plain)
			}
		}
	}
	return list
}

// secretWords are what the names of credentials have in them.
var secretWords = []string{"key", "token", "auth", "secret", "cookie", "password", "signature", "session", "credential"}

func secretName(name string) bool {
	name = strings.ToLower(name)
	return name == "sig" || slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(name, word) })
}

// holdsSecret reports whether a text has a credential in it, or is a piece of one.
func holdsSecret(s string, list []string) bool {
	for _, secret := range list {
		if strings.Contains(s, secret) || len(s) >= 8 && strings.Contains(secret, s) {
			return true
		}
	}
	return false
}

// sdkOf says which client sent a request, by the fields that it says it in itself.
func sdkOf(h map[string][]string) (members []jcs.Member) {
	product, _, _ := strings.Cut(header(h, "User-Agent"), " ")
	name, _, _ := strings.Cut(product, "/")
	add := func(member, value string) {
		if value != "" && len(value) <= 64 {
			members = append(members, jcs.M(member, jcs.Str(value)))
		}
	}
	lang := header(h, "X-Stainless-Lang")
	if lang == "" {
		add("user_agent", product)
		return members
	}
	add("name", name)
	add("version", header(h, "X-Stainless-Package-Version"))
	add("lang", lang)
	runtime := header(h, "X-Stainless-Runtime")
	if v := header(h, "X-Stainless-Runtime-Version"); v != "" && runtime != "" {
		runtime += "/" + v
	}
	add("runtime", runtime)
	return members
}

// traceContext is the form of W3C Trace Context; the version ff, and ids of zeros, are invalid.
var traceContext = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

func traceparentOf(h map[string][]string) string {
	v := header(h, "Traceparent")
	if !traceContext.MatchString(v) || v[:2] == "ff" || strings.Count(v[3:35], "0") == 32 || strings.Count(v[36:52], "0") == 16 {
		return ""
	}
	return v
}

// parentOf is the id of a receipt that a hook named.
func parentOf(h map[string][]string) string {
	if v := header(h, "X-Assay-Parent"); len(v) <= 128 && !strings.Contains(v, " ") {
		return v
	}
	return ""
}

// callsite is where in the program a call was made.
type callsite struct {
	file, function string
	line           int64
}

// callsiteOf reads file:function:line, whose parts are percent-encoded.
func callsiteOf(h map[string][]string) (site callsite, ok bool) {
	parts := strings.Split(header(h, "X-Assay-Callsite"), ":")
	if len(parts) != 3 {
		return callsite{}, false
	}
	file, err1 := url.PathUnescape(parts[0])
	function, err2 := url.PathUnescape(parts[1])
	line, err3 := strconv.ParseInt(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || line < 1 || line > maxInteger || file == "" {
		return callsite{}, false
	}
	return callsite{file, function, line}, true
}

// plainSegment is one that names an endpoint and nobody's thing.
var plainSegment = regexp.MustCompile(`^(?:[a-z._-]{1,64}|v[0-9]{1,3}(?:[a-z]{1,8}[0-9]{0,3})?)$`)

// maskedPath is a path in which everything that may be a name or an id is a star.
func maskedPath(path string) string {
	segments := strings.Split(path, "/")
	if len(segments) > 32 {
		segments = append(segments[:32], "*")
	}
	for i, s := range segments {
		if s != "" && !plainSegment.MatchString(s) {
			segments[i] = "*"
		}
	}
	return strings.Join(segments, "/")
}

var methodForm = regexp.MustCompile(`^[A-Z]{1,16}$`)

func maskedMethod(method string) string {
	if methodForm.MatchString(method) {
		return method
	}
	return "*"
}

// modelInPath is the model that the path of a request names: those of Gemini and the deployments of Azure.
func modelInPath(path string) string {
	segments := strings.Split(path, "/")
	for i := len(segments) - 2; i >= 0; i-- {
		switch segments[i] {
		case "models", "tunedModels", "deployments", "endpoints":
			name, err := url.PathUnescape(segments[i+1])
			if err != nil {
				return ""
			}
			if j := strings.LastIndexByte(name, ':'); j >= 0 && i == len(segments)-2 {
				name = name[:j]
			}
			return name
		}
	}
	return ""
}

// mediaType is the type of a body in lowercase, without parameters.
func mediaType(h map[string][]string) string {
	t, _, _ := strings.Cut(header(h, "Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// codingOf is the content coding of a body; empty: none. Several are one that nobody knows.
func codingOf(h map[string][]string) string {
	if len(h["Content-Encoding"]) > 1 {
		return "several"
	}
	c := strings.ToLower(strings.TrimSpace(header(h, "Content-Encoding")))
	if c == "identity" {
		return ""
	}
	return c
}
