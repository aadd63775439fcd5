package hook

import (
	"slices"
	"strings"
	"testing"
)

func plan(t *testing.T, environ []string, given map[string]string) Plan {
	t.Helper()
	p, err := MakePlan(environ, given)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func names(p Plan) (out []string) {
	for _, u := range p.Upstreams {
		out = append(out, u.Name+" "+u.Base.String())
	}
	return out
}

const at = "http://127.0.0.1:40123/0123"

func TestVariablesThatAreNotSetLeadToTheProxyAndItToTheUsualHosts(t *testing.T) {
	p := plan(t, nil, nil)
	if want := []string{"openai https://api.openai.com/v1", "anthropic https://api.anthropic.com", "google https://generativelanguage.googleapis.com",
		"google-2 https://generativelanguage.googleapis.com/v1beta", "ollama http://127.0.0.1:11434", "groq https://api.groq.com",
		"together https://api.together.xyz/v1", "cohere https://api.cohere.com"}; !slices.Equal(names(p), want) {
		t.Errorf("%q", names(p))
	}
	env := p.Environment([]string{"HOME=/h"}, at, Hooks{}, nil)
	for name, want := range map[string]string{"HOME": "/h", "OPENAI_BASE_URL": at + "/to/openai", "OPENAI_API_BASE": at + "/to/openai", "ANTHROPIC_API_URL": at + "/to/anthropic",
		"GEMINI_API_BASE": at + "/to/google-2", "OLLAMA_HOST": at + "/to/ollama", "NO_PROXY": "127.0.0.1,localhost", "AZURE_OPENAI_ENDPOINT": "",
		"ASSAY_PROXY_URL": at, "PYTHONPATH": "", "NODE_OPTIONS": ""} {
		if got := value(env, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if len(p.Chained)+len(p.Left) > 0 {
		t.Errorf("%q, %q", p.Chained, p.Left)
	}
}

// PX-07.
func TestAValueOfTheUserBecomesTheUpstream(t *testing.T) {
	environ := []string{"OPENAI_BASE_URL=http://old", "OPENAI_BASE_URL=https://gw.example/openai/v1", "AZURE_OPENAI_ENDPOINT=https://x.openai.azure.com/", "OLLAMA_HOST=box:9", "ANTHROPIC_BASE_URL=not a url", "PYTHONPATH=/p", "NODE_OPTIONS=--max-old-space-size=1", "no_proxy=internal, localhost"}
	p := plan(t, environ, nil)
	for _, want := range []string{"openai https://gw.example/openai/v1", "azure https://x.openai.azure.com/", "ollama http://box:9", "anthropic https://api.anthropic.com"} {
		if !slices.Contains(names(p), want) {
			t.Errorf("%q lacks %q", names(p), want)
		}
	}
	if want := []string{"OPENAI_BASE_URL", "AZURE_OPENAI_ENDPOINT", "OLLAMA_HOST"}; !slices.Equal(p.Chained, want) {
		t.Errorf("chained: %q", p.Chained)
	}
	if want := []string{"ANTHROPIC_BASE_URL"}; !slices.Equal(p.Left, want) {
		t.Errorf("left: %q", p.Left)
	}
	env := p.Environment(environ, at, Hooks{Dir: `/t/a "b"`, Python: true, Node: true}, map[string]string{"api.openai.com": "openai"})
	for name, want := range map[string]string{"OPENAI_BASE_URL": at + "/to/openai", "ANTHROPIC_BASE_URL": "not a url", "no_proxy": "internal, localhost,127.0.0.1",
		"PYTHONPATH": `/t/a "b":/p`, "NODE_OPTIONS": `--max-old-space-size=1 --require "/t/a \"b\"/assay-hook.cjs"`} {
		if got := value(env, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if user := value(env, "ASSAY_USER_ENV"); !strings.Contains(user, `"OPENAI_BASE_URL":"https://gw.example/openai/v1"`) || !strings.Contains(user, `"GROQ_BASE_URL":null`) {
		t.Errorf("what hooks put back: %s", user)
	}
	if hosts := value(env, "ASSAY_PROXY_HOSTS"); !strings.Contains(hosts, `"gw.example":"openai"`) || !strings.Contains(hosts, `"api.openai.com":"openai"`) {
		t.Errorf("what hooks redirect: %s", hosts)
	}
	count := 0
	for _, line := range env {
		if strings.HasPrefix(line, "OPENAI_BASE_URL=") {
			count++
		}
	}
	if count != 1 {
		t.Errorf("OPENAI_BASE_URL is there %d times", count)
	}
}

// Azure's client in Node sends its key to OPENAI_BASE_URL if that is set.
func TestWhereAzureIsUsedOpenAIIsLeftToTheUser(t *testing.T) {
	for _, environ := range [][]string{{"AZURE_OPENAI_API_KEY=k"}, {"AZURE_OPENAI_ENDPOINT=https://x.openai.azure.com"}} {
		p := plan(t, environ, nil)
		if env := p.Environment(environ, at, Hooks{}, nil); value(env, "OPENAI_BASE_URL") != "" || value(env, "ANTHROPIC_BASE_URL") == "" {
			t.Errorf("%q", env)
		}
	}
}

func TestAnUpstreamOfTheCommandLineTakesThePlaceOfAHost(t *testing.T) {
	p := plan(t, []string{"ANTHROPIC_BASE_URL=https://own.example"}, map[string]string{"openai": "http://127.0.0.1:9/v1", "anthropic": "http://127.0.0.1:8", "mistral": "http://127.0.0.1:7"})
	if want := []string{"anthropic http://127.0.0.1:8", "mistral http://127.0.0.1:7", "openai http://127.0.0.1:9/v1", "anthropic-2 https://own.example"}; !slices.Equal(names(p)[:4], want) {
		t.Errorf("%q", names(p))
	}
	env := p.Environment(nil, at, Hooks{}, nil)
	for name, want := range map[string]string{"OPENAI_BASE_URL": at + "/to/openai", "ANTHROPIC_BASE_URL": at + "/to/anthropic-2", "ANTHROPIC_API_URL": at + "/to/anthropic"} {
		if got := value(env, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, base := range map[string]string{"Openai": "http://h", "": "http://h", "x": "h:9", "y": "http://u:secret@h", "z": "http://h?k=secret", "w": "http://%zzsecret"} {
		if _, err := MakePlan(nil, map[string]string{name: base}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s=%s: %v", name, base, err)
		}
	}
}
