package call

import "strings"

// Provider is who answers at a host.
type Provider struct {
	Name string
	// Hosts are authorities: a name, with a port unless it is that of the scheme. One that begins with a point or a
	// hyphen stands for all names that end in it.
	Hosts []string
	// Base is what the provider's own clients put before their paths when nobody says otherwise; empty: there is none.
	Base string
}

// Providers are the hosts of models that are known by name. Their order is that of the table.
func Providers() []Provider { return append([]Provider(nil), providers...) }

var providers = []Provider{
	{"openai", []string{"api.openai.com", ".api.openai.com"}, "https://api.openai.com/v1"},
	{"azure", []string{".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".openai.azure.us"}, ""},
	{"anthropic", []string{"api.anthropic.com"}, "https://api.anthropic.com"},
	{"google", []string{"generativelanguage.googleapis.com", "aiplatform.googleapis.com", "-aiplatform.googleapis.com"}, "https://generativelanguage.googleapis.com"},
	{"ollama", []string{"localhost:11434", "127.0.0.1:11434", "[::1]:11434", "ollama.com"}, "http://127.0.0.1:11434"},
	{"mistral", []string{"api.mistral.ai", "codestral.mistral.ai"}, "https://api.mistral.ai"},
	{"groq", []string{"api.groq.com"}, "https://api.groq.com"},
	{"together", []string{"api.together.xyz", "api.together.ai"}, "https://api.together.xyz/v1"},
	{"cohere", []string{"api.cohere.com", "api.cohere.ai"}, "https://api.cohere.com"},
	{"deepseek", []string{"api.deepseek.com"}, "https://api.deepseek.com"},
	{"openrouter", []string{"openrouter.ai"}, "https://openrouter.ai/api/v1"},
	{"xai", []string{"api.x.ai", ".api.x.ai"}, "https://api.x.ai/v1"},
	{"fireworks", []string{"api.fireworks.ai"}, "https://api.fireworks.ai/inference/v1"},
	{"perplexity", []string{"api.perplexity.ai"}, "https://api.perplexity.ai"},
	{"cerebras", []string{"api.cerebras.ai"}, "https://api.cerebras.ai/v1"},
	{"sambanova", []string{"api.sambanova.ai"}, "https://api.sambanova.ai/v1"},
	{"nvidia", []string{"integrate.api.nvidia.com"}, "https://integrate.api.nvidia.com/v1"},
	{"deepinfra", []string{"api.deepinfra.com"}, "https://api.deepinfra.com/v1/openai"},
	{"huggingface", []string{"router.huggingface.co"}, "https://router.huggingface.co/v1"},
	{"github", []string{"models.github.ai", "models.inference.ai.azure.com"}, "https://models.github.ai/inference"},
	{"moonshot", []string{"api.moonshot.ai", "api.moonshot.cn"}, "https://api.moonshot.ai/v1"},
	{"zhipu", []string{"open.bigmodel.cn", "api.z.ai"}, "https://open.bigmodel.cn/api/paas/v4"},
	{"dashscope", []string{"dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"}, "https://dashscope.aliyuncs.com/compatible-mode/v1"},
	{"minimax", []string{"api.minimax.io"}, "https://api.minimax.io/v1"},
	{"ai21", []string{"api.ai21.com"}, "https://api.ai21.com/studio/v1"},
	{"voyage", []string{"api.voyageai.com"}, "https://api.voyageai.com/v1"},
	{"jina", []string{"api.jina.ai"}, "https://api.jina.ai/v1"},
}

// ProviderOf says who answers at an authority, if that is a host of models that is known by name. Letters of either
// case are the same; the port of the scheme is left out by the caller.
func ProviderOf(authority string) (name string, known bool) {
	authority = strings.ToLower(authority)
	for _, p := range providers {
		for _, host := range p.Hosts {
			if suffix := host[0] == '.' || host[0] == '-'; authority == host && !suffix ||
				suffix && len(authority) > len(host) && strings.HasSuffix(authority, host) {
				return p.Name, true
			}
		}
	}
	return "", false
}
