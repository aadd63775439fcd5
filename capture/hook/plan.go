// Package hook leads a program's model calls to a recording proxy without touching the program.
//
// Two ways go together. Programs in Python and Node get a hook that sends requests for known hosts to the proxy instead,
// and sees the user's own variables; everything else gets the variables that clients of models read for their base URL.
// Variables alone would change what some clients send (langchain-openai stops asking for the usage of a stream), so a
// hooked process has them put back before the program's first line.
package hook

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// variable is one that clients read for a base URL.
type variable struct {
	name, provider, base string // what the client takes without it; empty: there is no default, and it is only led over if it is set
}

// variables are in the order in which they are planned: of two with one upstream the first names it.
var variables = []variable{
	{"OPENAI_BASE_URL", "openai", "https://api.openai.com/v1"},
	{"OPENAI_API_BASE", "openai", "https://api.openai.com/v1"},
	{"AZURE_OPENAI_ENDPOINT", "azure", ""},
	{"ANTHROPIC_BASE_URL", "anthropic", "https://api.anthropic.com"},
	{"ANTHROPIC_API_URL", "anthropic", "https://api.anthropic.com"},
	{"ANTHROPIC_API_BASE", "anthropic", "https://api.anthropic.com"},
	{"GOOGLE_GEMINI_BASE_URL", "google", "https://generativelanguage.googleapis.com"},
	{"GEMINI_API_BASE", "google", "https://generativelanguage.googleapis.com/v1beta"},
	{"OLLAMA_HOST", "ollama", "http://127.0.0.1:11434"},
	{"GROQ_BASE_URL", "groq", "https://api.groq.com"},
	{"TOGETHER_BASE_URL", "together", "https://api.together.xyz/v1"},
	{"CO_API_URL", "cohere", "https://api.cohere.com"},
}

// Upstream is where requests of one name go.
type Upstream struct {
	Name, Provider string
	Base           *url.URL
}

// Plan is what a run's environment asks for.
type Plan struct {
	Upstreams []Upstream
	Chained   []string // variables of the user whose value became an upstream
	Left      []string // variables of the user that are no URL, and were left as they are
	set       []setting
	hosts     map[string]string // authority → provider: of the upstreams
}

// setting is a variable that leads to an upstream.
type setting struct{ name, upstream string }

// MakePlan reads an environment. given are the upstreams of the command line, provider → base URL: they take the place of a
// provider's own host, or name another one.
func MakePlan(environ []string, given map[string]string) (Plan, error) {
	p := Plan{hosts: map[string]string{}}
	bases := map[string]string{} // provider and base → name
	add := func(provider, base string) (name string, err error) {
		u, err := parseBase(base)
		if err != nil {
			return "", err
		}
		key := provider + " " + u.String()
		if name, ok := bases[key]; ok {
			return name, nil
		}
		name = provider
		for n := 2; slices.ContainsFunc(p.Upstreams, func(u Upstream) bool { return u.Name == name }); n++ {
			name = fmt.Sprintf("%s-%d", provider, n)
		}
		bases[key] = name
		p.Upstreams = append(p.Upstreams, Upstream{name, provider, u})
		p.hosts[strings.ToLower(u.Host)] = provider
		return name, nil
	}
	for _, provider := range sortedNames(given) {
		if !isProvider(provider) {
			return Plan{}, fmt.Errorf("upstream %q: expected a name of 1 to 32 lowercase letters, digits and hyphens", provider)
		}
		if _, err := add(provider, given[provider]); err != nil {
			return Plan{}, fmt.Errorf("upstream %s: %w", provider, err)
		}
	}
	azure := value(environ, "AZURE_OPENAI_ENDPOINT") != "" || value(environ, "AZURE_OPENAI_API_KEY") != ""
	for _, v := range variables {
		base, own := value(environ, v.name), false
		switch {
		case base != "":
			own = true
		case given[v.provider] != "":
			base = given[v.provider]
		case v.provider == "openai" && azure:
			// Azure's client in Node prefers OPENAI_BASE_URL to its own endpoint, and would send its key there.
			continue
		default:
			base = v.base
		}
		if base == "" {
			continue
		}
		if v.name == "OLLAMA_HOST" && !strings.Contains(base, "://") {
			base = "http://" + base
		}
		name, err := add(v.provider, base)
		if err != nil {
			p.Left = append(p.Left, v.name)
			continue
		}
		if own {
			p.Chained = append(p.Chained, v.name)
		}
		p.set = append(p.set, setting{v.name, name})
	}
	return p, nil
}

func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, fmt.Errorf("expected an http or https URL") // its own error would repeat what may hold a key
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, fmt.Errorf("expected an http or https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("expected a URL without user, query and fragment")
	}
	return u, nil
}

func isProvider(name string) bool {
	return len(name) >= 1 && len(name) <= 32 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func sortedNames(m map[string]string) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// value is the last value of a variable, as a program sees it.
func value(environ []string, name string) string {
	for _, line := range slices.Backward(environ) {
		if n, v, ok := strings.Cut(line, "="); ok && n == name {
			return v
		}
	}
	return ""
}

// Environment is environ with everything that leads to the proxy at proxyURL (with its token, without a slash at the end).
// hooks are those of Write; hosts of known models and their providers are for them.
func (p Plan) Environment(environ []string, proxyURL string, hooks Hooks, known map[string]string) []string {
	changes := map[string]string{"ASSAY_PROXY_URL": proxyURL}
	user := jcs.Obj()
	for _, s := range p.set {
		changes[s.name] = proxyURL + "/to/" + s.upstream
		before := jcs.Value{}
		if v := value(environ, s.name); v != "" {
			before = jcs.Loose(v)
		}
		user.Members = append(user.Members, jcs.M(s.name, before))
	}
	hosts := jcs.Obj()
	all := map[string]string{}
	for host, provider := range known {
		all[host] = provider
	}
	for host, provider := range p.hosts {
		all[host] = provider
	}
	for _, host := range sortedNames(all) {
		hosts.Members = append(hosts.Members, jcs.M(host, jcs.Str(all[host])))
	}
	changes["ASSAY_PROXY_HOSTS"] = text(hosts)
	changes["ASSAY_USER_ENV"] = text(user)
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		changes[name] = around(value(environ, name))
	}
	hooks.change(environ, changes)
	out := slices.DeleteFunc(slices.Clone(environ), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		_, changed := changes[name]
		return changed
	})
	for _, name := range sortedNames(changes) {
		out = append(out, name+"="+changes[name])
	}
	return out
}

func text(v jcs.Value) string {
	t, err := jcs.AppendPack(nil, v)
	if err != nil { // names and texts, all of them valid
		return "{}"
	}
	return strings.TrimSpace(string(t))
}

// around adds this machine's own addresses to a list of hosts that no outer proxy is asked for.
func around(list string) string {
	if strings.TrimSpace(list) == "*" {
		return list
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if !slices.Contains(strings.Split(strings.ReplaceAll(list, " ", ""), ","), host) {
			if list != "" {
				list += ","
			}
			list += host
		}
	}
	return list
}

// Hooks are the files of the hooks of one run.
type Hooks struct {
	Dir          string // 0700, absolute; empty: none
	Python, Node bool
}

// change sets the variables with which interpreters load the hooks, before what the user's own say.
func (h Hooks) change(environ []string, changes map[string]string) {
	if h.Dir == "" {
		return
	}
	if h.Python {
		path := h.Dir
		if own := value(environ, "PYTHONPATH"); own != "" {
			path += ":" + own
		}
		changes["PYTHONPATH"] = path
	}
	if h.Node {
		option := "--require " + nodeQuote(h.Dir+"/assay-hook.cjs")
		if own := value(environ, "NODE_OPTIONS"); own != "" {
			option = own + " " + option
		}
		changes["NODE_OPTIONS"] = option
	}
}

// nodeQuote quotes a path for NODE_OPTIONS.
func nodeQuote(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(path) + `"`
}
