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
	form     form   // how its bodies are read
}

// form is how the bodies of a route are read.
type form uint8

const (
	opaque form = iota // they are hashed only
	chat
)

// point is a row of the table: a request whose path ends in it is for that route.
type point struct {
	method string // empty: any
	path   string // the end of the path, whole segments; if it begins with a colon, the end of the last one
	name   string
	typ    string
	form   form
}

// points are asked from the first to the last: the longer path stands before the one that it ends in.
var points = []point{
	{"POST", "/chat/completions", "openai.chat", ModelCall, chat},
	{"POST", "/agents/completions", "openai.chat", ModelCall, chat}, // of Mistral: messages, not a prompt
	{"POST", "/completions", "openai.completions", ModelCall, opaque},
	{"POST", "/responses", "openai.responses", ModelCall, opaque},
	{"POST", "/responses/input_tokens", "openai.count_tokens", HTTPCall, opaque},
	{"POST", "/embeddings", "openai.embeddings", ModelCall, opaque},
	{"POST", "/images/generations", "openai.images", ModelCall, opaque},
	{"POST", "/images/edits", "openai.images", ModelCall, opaque},
	{"POST", "/images/variations", "openai.images", ModelCall, opaque},
	{"POST", "/audio/speech", "openai.audio", ModelCall, opaque},
	{"POST", "/audio/transcriptions", "openai.audio", ModelCall, opaque},
	{"POST", "/audio/translations", "openai.audio", ModelCall, opaque},
	{"POST", "/moderations", "openai.moderations", ModelCall, opaque},
	{"POST", "/messages/count_tokens", "anthropic.count_tokens", HTTPCall, opaque},
	{"POST", "/messages", "anthropic.messages", ModelCall, opaque},
	{"POST", ":rawPredict", "anthropic.messages", ModelCall, opaque},
	{"POST", ":streamRawPredict", "anthropic.messages", ModelCall, opaque},
	{"POST", ":generateContent", "google.generate_content", ModelCall, opaque},
	{"POST", ":streamGenerateContent", "google.generate_content", ModelCall, opaque},
	{"POST", ":embedContent", "google.embed_content", ModelCall, opaque},
	{"POST", ":batchEmbedContents", "google.embed_content", ModelCall, opaque},
	{"POST", ":predict", "google.predict", ModelCall, opaque},
	{"POST", ":countTokens", "google.count_tokens", HTTPCall, opaque},
	{"POST", "/api/chat", "ollama.chat", ModelCall, opaque},
	{"POST", "/api/generate", "ollama.generate", ModelCall, opaque},
	{"POST", "/api/embed", "ollama.embed", ModelCall, opaque},
	{"POST", "/v1/chat", "cohere.chat", ModelCall, opaque},
	{"POST", "/v2/chat", "cohere.chat", ModelCall, opaque},
	{"POST", "/v1/embed", "cohere.embed", ModelCall, opaque},
	{"POST", "/v2/embed", "cohere.embed", ModelCall, opaque},
	{"POST", "/rerank", "cohere.rerank", ModelCall, opaque},
}

// Find says what a request is for. The path is as on the wire, without the query.
func Find(provider, method, path string) Route {
	unknown := Route{Provider: provider, Name: Unknown, Type: HTTPCall, Recorded: true}
	for _, p := range points {
		if (p.method == "" || p.method == method) && strings.HasSuffix(path, p.path) {
			return Route{Provider: provider, Name: p.name, Type: p.typ, Recorded: true, form: p.form}
		}
	}
	return unknown
}
