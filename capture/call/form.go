package call

import "github.com/Haserjian/assay-ledger/pack/jcs"

// form is how the bodies of a route are read. A nil form reads nothing but errors.
type form struct {
	hashed  []string                                 // members of the request that prompt_hash is of, sorted; google's have two spellings
	counted []string                                 // the members whose items are the messages
	options string                                   // the member that has more parameters in it
	more    map[string]bool                          // which
	reply   func(r *reply, name string, v jcs.Value) // reads a response; a message of a stream too, unless there is event
	event   func(r *reply, name string, v jcs.Value)
	silent  bool     // no outputs are put together
	vectors []string // members of a silent response that are not read
}

var (
	chatForm = &form{
		hashed: []string{"messages"}, counted: []string{"messages"},
		reply: chatReply,
	}
	completionsForm = &form{
		hashed: []string{"prompt", "suffix", "system"}, counted: []string{"prompt"},
		reply: completionReply,
	}
	responsesForm = &form{
		hashed: []string{"input", "instructions", "previous_response_id", "prompt"}, counted: []string{"input"},
		reply: responsesReply, event: responsesEvent,
	}
	vectorsForm = &form{
		hashed: []string{"input"}, counted: []string{"input"},
		reply: plainReply, silent: true, vectors: []string{"data", "results"},
	}
	picturesForm = &form{
		hashed: []string{"prompt"}, counted: []string{"prompt"},
		reply: plainReply, silent: true, vectors: []string{"data", "b64_json"},
	}
	audioForm = &form{
		hashed: []string{"input", "prompt"}, counted: []string{"input"},
		reply: plainReply, silent: true, vectors: []string{"text", "words", "segments", "delta", "logprobs"},
	}
	messagesForm = &form{
		hashed: []string{"messages", "system"}, counted: []string{"messages"},
		reply: messagesReply, event: messagesEvent,
	}
	contentForm = &form{
		hashed: []string{"contents", "systemInstruction"}, counted: []string{"contents"}, options: "generationConfig", more: googleOptions,
		reply: googleReply,
	}
	contentVectorsForm = &form{
		hashed: []string{"content", "instances", "requests"}, counted: []string{"content", "instances", "requests"},
		reply: googleVectors, silent: true, vectors: []string{"embedding", "embeddings", "predictions"},
	}
	ollamaChatForm = &form{
		hashed: []string{"messages"}, counted: []string{"messages"}, options: "options", more: ollamaOptions,
		reply: ollamaReply,
	}
	ollamaGenerateForm = &form{
		hashed: []string{"prompt", "suffix", "system"}, counted: []string{"prompt"}, options: "options", more: ollamaOptions,
		reply: ollamaReply,
	}
	ollamaVectorsForm = &form{
		hashed: []string{"input", "prompt"}, counted: []string{"input", "prompt"}, options: "options", more: ollamaOptions,
		reply: ollamaVectors, silent: true, vectors: []string{"embedding", "embeddings"},
	}
	cohereForm = &form{
		hashed: []string{"chat_history", "message", "messages", "preamble"}, counted: []string{"chat_history", "message", "messages"},
		reply: cohereReply, event: cohereEvent,
	}
	cohereVectorsForm = &form{
		hashed: []string{"inputs", "texts"}, counted: []string{"inputs", "texts"},
		reply: cohereVectors, silent: true, vectors: []string{"embeddings", "texts", "images"},
	}
	rerankForm = &form{
		hashed: []string{"documents", "query"}, counted: []string{"documents"},
		reply: cohereVectors, silent: true, vectors: []string{"data", "results"},
	}
)

// spellings are second names of hashed members: the first is the one that is hashed.
var spellings = map[string]string{"system_instruction": "systemInstruction", "generation_config": "generationConfig"}

// parameters are the members of a request that a receipt may show, and of its options.
var parameters = map[string]bool{
	"temperature": true, "top_p": true, "top_k": true, "max_tokens": true, "max_completion_tokens": true,
	"max_output_tokens": true, "max_tokens_to_sample": true, "n": true, "seed": true, "stream": true,
	"presence_penalty": true, "frequency_penalty": true, "reasoning_effort": true, "service_tier": true,
	"parallel_tool_calls": true, "store": true, "background": true, "logprobs": true, "top_logprobs": true,
	"dimensions": true, "encoding_format": true, "size": true, "quality": true,
}

var (
	googleOptions = map[string]bool{
		"temperature": true, "topP": true, "topK": true, "maxOutputTokens": true, "candidateCount": true, "seed": true,
	}
	ollamaOptions = map[string]bool{
		"temperature": true, "top_p": true, "top_k": true, "num_predict": true, "num_ctx": true, "seed": true,
	}
)
