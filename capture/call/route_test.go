package call

import (
	"strings"
	"testing"
)

// CAP-5: what a request is for, and which requests get no receipt.
func TestRoutesAreFoundByTheEndOfThePath(t *testing.T) {
	for _, test := range []struct{ method, path, route string }{
		{"POST", "/v1/chat/completions", "openai.chat"},
		{"POST", "/v1/chat/completions/", "openai.chat"},
		{"POST", "/chat/completions", "openai.chat"},
		{"POST", "/openai/deployments/gpt/chat/completions", "openai.chat"},
		{"POST", "/models/chat/completions", "openai.chat"},
		{"POST", "/v1beta/openai/chat/completions", "openai.chat"},
		{"POST", "/v1/agents/completions", "openai.chat"},
		{"POST", "/v1/fim/completions", "openai.completions"},
		{"POST", "/v1/completions", "openai.completions"},
		{"POST", "/v1/responses", "openai.responses"},
		{"POST", "/openai/v1/responses", "openai.responses"},
		{"GET", "/v1/responses/resp_1", Unknown},
		{"POST", "/v1/responses/resp_1/cancel", Unknown},
		{"POST", "/v1/responses/input_tokens", "openai.count_tokens"},
		{"POST", "/v1/embeddings", "openai.embeddings"},
		{"POST", "/api/embeddings", "ollama.embed"},
		{"POST", "/api/embed", "ollama.embed"},
		{"POST", "/v1/images/generations", "openai.images"},
		{"POST", "/v1/images/edits", "openai.images"},
		{"POST", "/v1/images/variations", "openai.images"},
		{"POST", "/v1/audio/speech", "openai.audio"},
		{"POST", "/v1/audio/transcriptions", "openai.audio"},
		{"POST", "/v1/audio/translations", "openai.audio"},
		{"POST", "/v1/moderations", "openai.moderations"},
		{"POST", "/v1/batches", "openai.batches"},
		{"GET", "/v1/batches/batch_1", "openai.batches"},
		{"POST", "/v1/batches/batch_1/cancel", "openai.batches"},
		{"POST", "/v1/files", "openai.files"},
		{"GET", "/v1/files/file-1/content", "openai.files"},
		{"POST", "/v1/messages", "anthropic.messages"},
		{"POST", "/messages", "anthropic.messages"},
		{"POST", "/v1/messages/count_tokens", "anthropic.count_tokens"},
		{"POST", "/v1/messages/batches", "anthropic.batches"},
		{"GET", "/v1/messages/batches/msgbatch_1/results", "anthropic.batches"},
		{"POST", "/v1/threads/thread_1/messages", Unknown},
		{"GET", "/v1/messages", Unknown},
		{"POST", "/v1beta/models/gemini-3-pro:generateContent", "google.generate_content"},
		{"POST", "/v1beta/models/gemini-3-pro%3AgenerateContent", "google.generate_content"},
		{"POST", "/v1/models/gemini-3-pro:streamGenerateContent", "google.generate_content"},
		{"POST", "/v1beta/models/e:embedContent", "google.embed_content"},
		{"POST", "/v1beta/models/e:batchEmbedContents", "google.embed_content"},
		{"POST", "/v1beta/models/e:countTokens", "google.count_tokens"},
		{"POST", "/v1/projects/p/locations/l/publishers/google/models/e:predict", "google.predict"},
		{"POST", "/v1/projects/p/locations/l/publishers/anthropic/models/c:streamRawPredict", "anthropic.messages"},
		{"POST", "/api/chat", "ollama.chat"},
		{"POST", "/api/chat/completions", "openai.chat"},
		{"POST", "/api/generate", "ollama.generate"},
		{"POST", "/v1/chat", "cohere.chat"},
		{"POST", "/v2/chat", "cohere.chat"},
		{"POST", "/v2/embed", "cohere.embed"},
		{"POST", "/v1/rerank", "cohere.rerank"},
		{"GET", "/v1/models", ""},
		{"GET", "/v1/models/gpt-4o", ""},
		{"HEAD", "/models", ""},
		{"GET", "/api/tags", ""},
		{"GET", "/api/version", ""},
		{"GET", "/api/ps", ""},
		{"POST", "/v1/traces/ingest", ""},
		{"POST", "/v1/models", Unknown},
		{"POST", "/api/tags", Unknown},
		{"GET", "/v1/mymodels", Unknown},
		{"GET", "/", Unknown},
		{"POST", "", Unknown},
		{"POST", "/v1/xchat/completions2", Unknown},
	} {
		r := Find("p", test.method, test.path)
		got := r.Name
		if !r.Recorded {
			got = ""
		}
		if got != test.route || r.Provider != "p" {
			t.Errorf("%s %s is %+v, want %q", test.method, test.path, r, test.route)
		}
		if model := r.Type == ModelCall; model != (r.form != nil) || !model && r.Type != HTTPCall {
			t.Errorf("%s: type %q", test.path, r.Type)
		}
	}
}

// Every row of the table can be reached: none stands behind one that takes its requests.
func TestEveryRowOfTheTableIsFound(t *testing.T) {
	for _, p := range points {
		path, _ := strings.CutSuffix(p.path, "/...")
		method := p.method
		if method == "" {
			method = "DELETE"
		}
		if got := Find("", method, "/v9"+path); got.Name != p.name || got.Type != p.typ || got.form != p.form {
			t.Errorf("%s is %+v, want %s", p.path, got, p.name)
		}
	}
}

func TestProvidersAreFoundByTheirHosts(t *testing.T) {
	for authority, want := range map[string]string{
		"api.openai.com": "openai", "API.OpenAI.com": "openai", "eu.api.openai.com": "openai", "my.openai.azure.com": "azure",
		"api.anthropic.com": "anthropic", "us-central1-aiplatform.googleapis.com": "google", "localhost:11434": "ollama",
		"openrouter.ai": "openrouter", "": "", ".openai.azure.com": "", "evilapi.openai.com": "", "api.openai.com.evil": "",
		"storage.googleapis.com": "", "localhost": "", "api.openai.com:8443": "", "notapi.anthropic.com": "",
	} {
		if got, known := ProviderOf(authority); got != want || known != (want != "") {
			t.Errorf("%q is %q, want %q", authority, got, want)
		}
	}
	names := map[string]bool{}
	for _, p := range Providers() {
		if names[p.Name] || len(p.Hosts) == 0 || p.Name != strings.ToLower(p.Name) {
			t.Errorf("%+v", p)
		}
		names[p.Name] = true
		for _, h := range p.Hosts {
			if got, _ := ProviderOf(strings.TrimPrefix("x"+h, "x")); h[0] != '.' && h[0] != '-' && got != p.Name {
				t.Errorf("%s is %q, want %s", h, got, p.Name)
			}
		}
		if _, base, _ := strings.Cut(p.Base, "://"); p.Base != "" {
			host, _, _ := strings.Cut(base, "/")
			if got, _ := ProviderOf(host); got != p.Name {
				t.Errorf("the base of %s is at %q of %q", p.Name, host, got)
			}
		}
	}
}
