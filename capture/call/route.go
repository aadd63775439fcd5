package call

import "strings"

// The two types of receipts of attempts: a model was asked, or something else was.
const (
	ModelCall = "model_call"
	HTTPCall  = "assay.http_call/v1"
)

// Unknown is the name of the route of everything that the table does not know.
const Unknown = "unknown"

// Route is what an attempt was for.
type Route struct {
	Provider string // as it was given to Find
	Name     string // "openai.chat", …, or Unknown
	Type     string // of the receipt: ModelCall or HTTPCall
	Recorded bool   // false: forwarded and counted, without a receipt
	form     *form  // how its bodies are read; nil: they are not, but for errors
}

// point is a row of the table.
type point struct {
	method string // empty: any
	path   string // how the path ends: in these segments, in any that follow "/..." too, or, behind a colon, in this verb
	name   string
	typ    string
	form   *form
}

// points are asked from the first to the last: the longer path stands before the one that it ends in.
var points = []point{
	{"POST", "/api/chat", "ollama.chat", ModelCall, ollamaChatForm},
	{"POST", "/api/generate", "ollama.generate", ModelCall, ollamaGenerateForm},
	{"POST", "/api/embed", "ollama.embed", ModelCall, ollamaVectorsForm},
	{"POST", "/api/embeddings", "ollama.embed", ModelCall, ollamaVectorsForm},
	{"", "/messages/batches/...", "anthropic.batches", HTTPCall, nil},
	{"", "/batches/...", "openai.batches", HTTPCall, nil},
	{"", "/files/...", "openai.files", HTTPCall, nil},
	{"POST", "/chat/completions", "openai.chat", ModelCall, chatForm},
	{"POST", "/agents/completions", "openai.chat", ModelCall, chatForm}, // of Mistral: messages, not a prompt
	{"POST", "/completions", "openai.completions", ModelCall, completionsForm},
	{"POST", "/responses", "openai.responses", ModelCall, responsesForm},
	{"POST", "/responses/input_tokens", "openai.count_tokens", HTTPCall, nil},
	{"POST", "/embeddings", "openai.embeddings", ModelCall, vectorsForm},
	{"POST", "/images/generations", "openai.images", ModelCall, picturesForm},
	{"POST", "/images/edits", "openai.images", ModelCall, picturesForm},
	{"POST", "/images/variations", "openai.images", ModelCall, picturesForm},
	{"POST", "/audio/speech", "openai.audio", ModelCall, audioForm},
	{"POST", "/audio/transcriptions", "openai.audio", ModelCall, audioForm},
	{"POST", "/audio/translations", "openai.audio", ModelCall, audioForm},
	{"POST", "/moderations", "openai.moderations", ModelCall, vectorsForm},
	{"POST", "/messages/count_tokens", "anthropic.count_tokens", HTTPCall, nil},
	{"POST", "/messages", "anthropic.messages", ModelCall, messagesForm},
	{"POST", ":rawPredict", "anthropic.messages", ModelCall, messagesForm},
	{"POST", ":streamRawPredict", "anthropic.messages", ModelCall, messagesForm},
	{"POST", ":generateContent", "google.generate_content", ModelCall, contentForm},
	{"POST", ":streamGenerateContent", "google.generate_content", ModelCall, contentForm},
	{"POST", ":embedContent", "google.embed_content", ModelCall, contentVectorsForm},
	{"POST", ":batchEmbedContents", "google.embed_content", ModelCall, contentVectorsForm},
	{"POST", ":predict", "google.predict", ModelCall, contentVectorsForm},
	{"POST", ":countTokens", "google.count_tokens", HTTPCall, nil},
	{"POST", "/v1/chat", "cohere.chat", ModelCall, cohereForm},
	{"POST", "/v2/chat", "cohere.chat", ModelCall, cohereForm},
	{"POST", "/v1/embed", "cohere.embed", ModelCall, cohereVectorsForm},
	{"POST", "/v2/embed", "cohere.embed", ModelCall, cohereVectorsForm},
	{"POST", "/rerank", "cohere.rerank", ModelCall, rerankForm},
}

// quiet are requests that ask no model and get no receipt: they are forwarded and counted.
var quiet = []point{
	{method: "GET", path: "/models/..."}, {method: "HEAD", path: "/models/..."},
	{method: "GET", path: "/api/tags"}, {method: "GET", path: "/api/version"}, {method: "GET", path: "/api/ps"},
	{method: "POST", path: "/traces/ingest"}, // a vendor's own telemetry
}

// Find says what a request is for. The path is as on the wire, without the query.
func Find(provider, method, path string) Route {
	path = strings.NewReplacer("%3A", ":", "%3a", ":").Replace(strings.TrimSuffix(path, "/"))
	r := Route{Provider: provider, Name: Unknown, Type: HTTPCall, Recorded: true}
	for _, p := range quiet {
		if p.is(method, path) {
			r.Recorded = false
			return r
		}
	}
	for _, p := range points {
		if p.is(method, path) {
			r.Name, r.Type, r.form = p.name, p.typ, p.form
			return r
		}
	}
	return r
}

func (p *point) is(method, path string) bool {
	if p.method != "" && p.method != method {
		return false
	}
	if above, ok := strings.CutSuffix(p.path, "/..."); ok {
		return strings.HasSuffix(path, above) || strings.Contains(path, above+"/")
	}
	// A thread of OpenAI's assistants has messages as well, and those are no call.
	return strings.HasSuffix(path, p.path) && !strings.Contains(path, "/threads/")
}
