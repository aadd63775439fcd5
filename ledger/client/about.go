package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// About asks the ledger who it is. It is the one question that needs no policy. A copy of a log that is files alone, such
// as its static site, has no v1/log; there the files policy and tsa-roots.pem say the same.
func (c *Client) About(ctx context.Context) (*About, error) {
	stranger := *c
	stranger.Policy = new(trust.Policy) // which believes nobody
	a, err := stranger.do(ctx, request{method: http.MethodGet, path: "v1/log", accept: "application/json", limit: maxAbout})
	if errors.Is(missing(err), fs.ErrNotExist) {
		about, other := Files{Client: c}.about(ctx)
		if !errors.Is(other, fs.ErrNotExist) {
			return about, other
		} // neither is there, and a ledger is what was asked for
	}
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

// about is what the files of a log say of it.
func (f Files) about(ctx context.Context) (*About, error) {
	text, err := f.Policy(ctx)
	if err != nil {
		return nil, err
	}
	policy, err := trust.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("the file policy is none: %w", err)
	}
	logs := policy.Logs()
	if len(logs) != 1 {
		return nil, fmt.Errorf("the file policy names %d logs, expected one", len(logs))
	}
	about := &About{Origin: logs[0].Origin, VKey: logs[0].VKey, Policy: policy}
	if about.TSARoots, err = f.Roots(ctx); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return about, nil
}
