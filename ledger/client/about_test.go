package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestALedgerSaysWhoItIsAndNothingOfItIsBelieved(t *testing.T) {
	h := newHonest()
	said := map[string]any{"origin": testOrigin, "vkey": h.policy().Logs()[0].VKey, "policy": string(h.policy().Text()), "tsa_roots": "PEM", "size": 5}
	with := func(name string, value any) map[string]any {
		other := map[string]any{}
		for k, v := range said {
			other[k] = v
		}
		other[name] = value
		return other
	}
	for name, c := range map[string]struct {
		said any
		want string // of the error; empty: none
	}{
		"as it is":           {said, ""},
		"no object":          {[]int{1}, "no JSON object"},
		"another origin":     {with("origin", "evil.example"), "says that it is evil.example"},
		"another key":        {with("vkey", "x"), "names 1 logs or another one"},
		"no policy":          {with("policy", ""), "its policy is none"},
		"a policy of none":   {with("policy", "quorum none\n"), "names 0 logs"},
		"policy of a number": {with("policy", 1), "its policy is none"},
		"an escape":          {with("origin", "\x1b[2J"), "names 1 logs"},
	} {
		client := serve(t, h, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/log" {
				t.Errorf("%s was asked", r.URL)
			}
			_ = json.NewEncoder(w).Encode(c.said)
		}))
		client.Policy = nil
		about, err := client.About(t.Context())
		switch {
		case c.want == "" && (err != nil || about.Origin != testOrigin || string(about.Policy.Text()) != said["policy"] || string(about.TSARoots) != "PEM"):
			t.Errorf("%s: %+v, %v", name, about, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\x1b")):
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPortalIsNoLedgerThatSaysWhoItIs(t *testing.T) {
	for name, body := range map[string]string{"HTML": "<html>log in", "empty": "", "huge": `{"a":"` + strings.Repeat("x", maxAbout) + `"}`} {
		client := serve(t, newHonest(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		if _, err := client.About(t.Context()); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrBadProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
