package call

import (
	"maps"
	"strings"
	"testing"
)

// CAP-7: every text and every credential of the fixtures has the word in it, and nothing that is recorded has.
func TestNoContentAndNoCredentialIsRecorded(t *testing.T) {
	placed := 0
	for _, f := range fixtures(t) {
		canaries := strings.Count(strings.ToLower(string(f.asked)+string(f.answered)+f.request.Path+f.request.Query), "canary")
		for _, fields := range f.request.Header {
			canaries += strings.Count(strings.ToLower(strings.Join(fields, " ")), "canary")
		}
		placed += canaries
		for _, how := range []Ending{Whole, ClientGone, UpstreamReset} {
			for _, encoding := range []string{"", "gzip", "nonsense"} { // bodies that are none: what is read wrong is not told either
				if f.response.Header = maps.Clone(f.response.Header); encoding != "" {
					f.response.Header["Content-Encoding"] = []string{encoding}
				}
				c := f.begun(NewBudget(room), 7)
				c.End(how)
				got := string(pretty(t, c.Members(attempt)))
				if strings.Contains(strings.ToLower(got), "canary") {
					t.Errorf("%s: recorded is\n%s", f.name, got)
				}
			}
		}
	}
	if placed < 100 {
		t.Errorf("only %d canaries", placed)
	}
}

// CAP-7: a server that repeats what it was sent is no way to a receipt, wherever the key stood.
func TestACredentialThatTheUpstreamRepeatsIsLeftOut(t *testing.T) {
	const key = "k3y-zyxwvu9876543210"
	for name, head := range map[string]RequestHead{
		"bearer":    {Header: map[string][]string{"Authorization": {"Bearer " + key}}},
		"basic":     {Header: map[string][]string{"Authorization": {"Basic  " + key}}},
		"bare":      {Header: map[string][]string{"Authorization": {key}}},
		"anthropic": {Header: map[string][]string{"X-Api-Key": {key}}},
		"azure":     {Header: map[string][]string{"Api-Key": {"other-key", key}}},
		"google":    {Header: map[string][]string{"X-Goog-Api-Key": {key}}},
		"cookie":    {Header: map[string][]string{"Cookie": {key}}},
		"proxy":     {Header: map[string][]string{"Proxy-Authorization": {key}}},
		"secret":    {Header: map[string][]string{"X-Client-Secret": {key}}},
		"password":  {Header: map[string][]string{"X-PASSWORD": {key}}},
		"session":   {Header: map[string][]string{"X-Session": {key}}},
		"signed":    {Header: map[string][]string{"X-Signature": {key}}},
		"others":    {Header: map[string][]string{"X-Credentials": {key}}},
		"amazon":    {Header: map[string][]string{"X-Amz-Security-Token": {key}}},
		"query":     {Query: "alt=sse&key=" + key},
		"escaped":   {Query: "%6Bey=" + strings.ReplaceAll(key, "-", "%2D")},
		"not one":   {Query: "key%zz=" + key},
		"token":     {Query: "access_token=" + key},
		"signature": {Query: "x&sig=" + key + "&y"},
	} {
		for piece, said := range map[string]string{"whole": key, "inside": "x" + key + "y", "a piece": key[4:14]} {
			head.Header = maps.Clone(head.Header)
			if head.Header == nil {
				head.Header = map[string][]string{}
			}
			head.Header["User-Agent"], head.Header["X-Assay-Callsite"] = []string{said}, []string{said + ":" + said + ":7"}
			head.Method, head.Path = "POST", "/v1/"+said+"/chat/completions"
			c := Begin(Find("openai", "POST", "/chat/completions"), head, NewBudget(room))
			c.Request([]byte(`{"model":"` + said + `","messages":[],"size":"` + said + `","tools":[{"name":"` + said + `"}]}`))
			c.RequestEnd(true)
			c.Response(ResponseHead{Status: 200})
			c.Body([]byte(`{"id":"` + said + `","model":"` + said + `","choices":[{"finish_reason":"` + said + `","message":{"tool_calls":[{"function":{"name":"` + said + `"}}]}}]}`))
			c.End(Whole)
			if got := string(pretty(t, c.Members(attempt))); strings.Contains(got, said) || !strings.Contains(got, `"success": true`) || !strings.Contains(got, "args_hash") {
				t.Errorf("%s, %s: recorded is\n%s", name, piece, got)
			}
		}
	}
}

// CAP-7: of a route that is not known the path is recorded, and nothing in it that may be somebody's.
func TestAPathShowsNoNames(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/threads/thread_abc123/runs": "/v1/threads/*/runs", "/v1beta2/x.y-z_a": "/v1beta2/x.y-z_a", "": "", "/": "/", "/a//b": "/a//b",
		"/V1/Users/%41": "/*/*/*", "/v": "/v", "/v12345": "/*", "/user@example.com": "/*", "/a b": "/*", "/ü": "/*",
		"/" + strings.Repeat("a", 65): "/*", strings.Repeat("/a", 40): strings.Repeat("/a", 31) + "/*",
	} {
		if got := maskedPath(path); got != want {
			t.Errorf("%q becomes %q, want %q", path, got, want)
		}
	}
	for method, want := range map[string]string{"PATCH": "PATCH", "get": "*", "": "*", "SK-KEY": "*", strings.Repeat("A", 17): "*"} {
		if got := maskedMethod(method); got != want {
			t.Errorf("%q becomes %q, want %q", method, got, want)
		}
	}
}
