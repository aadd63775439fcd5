package client

import (
	"context"
	"fmt"
	"net/http"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

// About is what a ledger says of itself. It is the ledger's word alone: whoever answers in its place gives a policy
// of his own making. Compare it with what the operator and the witnesses say elsewhere before it is believed.
type About struct {
	Origin   string
	VKey     string        // of the log
	Policy   *trust.Policy // names that log alone
	TSARoots []byte        // certificates in PEM, as they came; empty: the ledger has no timestamps
}

// maxAbout is enough for the longest policy and the longest roots, in JSON.
const maxAbout = 8 << 20

// About asks the ledger who it is. It is the one question that needs no policy.
func (c *Client) About(ctx context.Context) (*About, error) {
	stranger := *c
	stranger.Policy = new(trust.Policy) // which believes nobody
	a, err := stranger.do(ctx, request{method: http.MethodGet, path: "v1/log", accept: "application/json", limit: maxAbout})
	if err != nil {
		return nil, fmt.Errorf("asking the ledger who it is: %w", err)
	}
	v, err := jcs.Parse(a.body, jcs.Limits{})
	if err != nil || v.Kind != jcs.Object {
		return nil, notOfALedger(a.body, "JSON object")
	}
	texts := map[string]string{}
	for _, m := range v.Members {
		if m.Value.Kind == jcs.String {
			texts[m.Name] = m.Value.Text
		}
	}
	about := &About{Origin: texts["origin"], VKey: texts["vkey"], TSARoots: []byte(texts["tsa_roots"])}
	if about.Policy, err = trust.ParsePolicy([]byte(texts["policy"])); err != nil {
		return nil, fmt.Errorf("the ledger says who it is, and its policy is none: %w", err)
	}
	logs := about.Policy.Logs()
	if len(logs) != 1 || logs[0].VKey != about.VKey || logs[0].Origin != about.Origin {
		return nil, fmt.Errorf("the ledger says that it is %s, and its policy names %d logs or another one", printable(about.Origin), len(logs))
	}
	return about, nil
}
