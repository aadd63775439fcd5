package call

import (
	"bytes"
	"fmt"
	"testing"
)

// longStream is a stream of n chunks, as a model that writes word by word sends it.
func longStream(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `data: {"id":"chatcmpl-A1","object":"chat.completion.chunk","created":1760000000,"model":"gpt-5-mini-2026-08-07","service_tier":"default","system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" word%d"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"aBcDeFg"}`+"\n\n", i)
	}
	b.WriteString(`data: {"id":"chatcmpl-A1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}` + "\n\n")
	b.WriteString(`data: {"id":"chatcmpl-A1","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}` + "\n\ndata: [DONE]\n\n")
	return b.Bytes()
}

func benchmark(b *testing.B, f fixture, pieces int) {
	budget := brotliBudget()
	b.SetBytes(int64(len(f.asked) + len(f.answered)))
	b.ReportAllocs()
	for b.Loop() {
		if len(f.run(budget, pieces).Members(attempt)) < 10 {
			b.Fatal("nothing is recorded")
		}
	}
}

func BenchmarkStream(b *testing.B) {
	f := named(b, "openai_chat_stream")
	f.answered = longStream(1000)
	benchmark(b, f, 32<<10)
}

func BenchmarkStreamEventByEvent(b *testing.B) {
	f := named(b, "openai_chat_stream")
	f.answered = longStream(1000)
	benchmark(b, f, 300)
}

func BenchmarkChat(b *testing.B) { benchmark(b, named(b, "openai_chat"), 32<<10) }

func BenchmarkLargePrompt(b *testing.B) {
	f := named(b, "openai_chat")
	f.asked = []byte(`{"model":"gpt-5-mini","messages":[`)
	for i := range 1000 {
		f.asked = fmt.Appendf(f.asked, `{"role":"user","content":"%s %d"},`, bytes.Repeat([]byte("Some words, and some more of them. "), 28), i)
	}
	f.asked = append(f.asked, `{"role":"user","content":"end"}]}`...)
	benchmark(b, f, 32<<10)
}

func BenchmarkVectors(b *testing.B) {
	f := named(b, "openai_embeddings")
	one := append(append([]byte(`{"embedding":[`), bytes.Repeat([]byte("-0.0123456789,"), 1535)...), "1]},"...)
	f.answered = append(append([]byte(`{"object":"list","data":[`), bytes.Repeat(one, 500)...), `{}],"usage":{"prompt_tokens":8,"total_tokens":8}}`...)
	benchmark(b, f, 32<<10)
}

func BenchmarkOpaque(b *testing.B) {
	f := named(b, "unknown_route")
	f.answered = make([]byte, 1<<20)
	benchmark(b, f, 32<<10)
}
