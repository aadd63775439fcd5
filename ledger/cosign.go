package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Haserjian/assay-ledger/trust"
)

const (
	witnessTimeout  = 5 * time.Second // of one request
	witnessAttempts = 3               // of one question: a conflict, its answer, and one more race
	maxAnswer       = 64 << 10        // bytes; sixteen ML-DSA-44 cosignatures
)

// endpoint is one submission prefix: one request asks for the cosignatures of all keys
// behind it, Ed25519 and ML-DSA-44 alike. It never has two questions open at once.
type endpoint struct {
	url       string
	witnesses []string // policy names

	// known is the size that the witness has last told or cosigned. It belongs to
	// the one goroutine that asks, and between questions to the publisher.
	known int64

	// What the publisher knows of it.
	said  string        // what it last answered instead of cosigning
	last  standing      // its last answer
	pause time.Duration // after its last answer; doubles while it fails
	next  time.Time     // when it is asked again although the tree has not grown
}

func (e *endpoint) String() string { return strings.Join(e.witnesses, " ") }

// endpoints groups the witnesses of the policy by URL. A witness without URL cannot be asked.
func endpoints(policy *trust.Policy, published *trust.Checkpoint) []*endpoint {
	byURL := map[string]*endpoint{}
	var list []*endpoint
	for _, w := range policy.Witnesses() {
		if w.URL == "" {
			continue
		}
		prefix := strings.TrimSuffix(w.URL, "/")
		e := byURL[prefix]
		if e == nil {
			e = &endpoint{url: prefix}
			byURL[prefix] = e
			list = append(list, e)
		}
		e.witnesses = append(e.witnesses, w.Name)
		if published == nil {
			continue
		}
		for _, c := range published.Cosignatures {
			if c.Witness == w.Name {
				e.known = published.Size // a guess; a conflict tells the truth
			}
		}
	}
	return list
}

// witnessClient returns c, or a client with limits, that follows no redirect: a
// witness is where the policy says it is.
func witnessClient(c *http.Client) *http.Client {
	if c == nil {
		c = &http.Client{Timeout: witnessTimeout, Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: witnessTimeout}).DialContext,
			TLSHandshakeTimeout:    witnessTimeout,
			ResponseHeaderTimeout:  witnessTimeout,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    2,
			MaxResponseHeaderBytes: maxAnswer,
			ForceAttemptHTTP2:      true,
		}}
	}
	plain := *c
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &plain
}

// reply is what an endpoint answered to one question.
type reply struct {
	cosignatures []trust.Cosignature // verified
	named        bool                // it named a size that is not above ours, and nothing that contradicts it
}

// ask requests cosignatures of cp, which carries the log's signature, and returns those that verify.
func (e *endpoint) ask(ctx context.Context, client *http.Client, policy *trust.Policy, cp *trust.Checkpoint, past history) (r reply, err error) {
	old := min(e.known, cp.Size)
	for range witnessAttempts {
		proof, err := past.store.consistency(old, cp.Size)
		if err != nil {
			return reply{}, fmt.Errorf("proving consistency from size %d: %w", old, err)
		}
		answer, err := e.post(ctx, client, trust.AddCheckpoint{OldSize: old, Proof: proof, Checkpoint: cp.Signed}.Marshal())
		if errors.Is(err, errUnprocessable) { // whatever size it named, it is not of this log
			return reply{}, e.refused(ctx, client, policy, cp, past, err)
		}
		if err != nil {
			return r, err
		}
		if answer.conflict < 0 {
			r.cosignatures, err = e.accept(policy, cp, answer.lines)
			return r, err
		}
		// SPEC tlog-witness: 409 carries "the tree size of the latest cosigned checkpoint".
		switch {
		case answer.conflict > cp.Size:
			return reply{}, e.refused(ctx, client, policy, cp, past, fmt.Errorf("it claims size %d, ours is %d", answer.conflict, cp.Size))
		case answer.conflict == old:
			return reply{}, fmt.Errorf("it answers conflict with the size %d that it was sent", old)
		}
		old, r.named = answer.conflict, true
		e.known = old
	}
	return reply{}, fmt.Errorf("its size changed %d times during one question", witnessAttempts)
}

// errUnprocessable: the witness finds that our tree does not continue what it has cosigned.
var errUnprocessable = errors.New("it answers 422: this tree does not continue the last one")

// refused (WIT-36) judges a refusal that says that our log is not what it was. Words prove nothing, and
// one witness must not be able to stop a running log with them; our own signature, in the witness's
// monitoring copy, does.
func (e *endpoint) refused(ctx context.Context, client *http.Client, policy *trust.Policy, cp *trust.Checkpoint, past history, why error) error {
	ctx, cancel := context.WithTimeout(ctx, witnessTimeout)
	defer cancel()
	shown, err := e.latest(ctx, client, policy, cp.Origin)
	if err != nil {
		return fmt.Errorf("%w, and shows nothing that we signed", why)
	}
	if err := past.judgeOwnCheckpoint(shown); err != nil {
		return err
	}
	return fmt.Errorf("%w, but what it shows is of this log", why)
}

// accept verifies the answer's lines.
//
// SPEC tlog-witness: "The client MUST ignore any cosignatures from unknown keys."
func (e *endpoint) accept(policy *trust.Policy, cp *trust.Checkpoint, lines []byte) ([]trust.Cosignature, error) {
	cosignatures, err := policy.VerifyCosignatures(cp, lines)
	if err != nil {
		return nil, err
	}
	var theirs []trust.Cosignature
	for _, c := range cosignatures {
		for _, name := range e.witnesses {
			if c.Witness == name {
				theirs = append(theirs, c)
			}
		}
	}
	if len(theirs) == 0 {
		return nil, errors.New("no cosignature in its answer verifies with its key in the policy")
	}
	e.known = cp.Size
	return theirs, nil
}

// witnessAnswer holds signature lines, or the size of a conflict; conflict is -1 for none.
type witnessAnswer struct {
	lines    []byte
	conflict int64
}

func (e *endpoint) post(ctx context.Context, client *http.Client, body []byte) (witnessAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, witnessTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+"/add-checkpoint", strings.NewReader(string(body)))
	if err != nil {
		return witnessAnswer{}, err
	}
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	status, header, text, err := exchange(client, req, maxAnswer)
	if err != nil {
		return witnessAnswer{}, err
	}
	switch status {
	case http.StatusOK:
		return witnessAnswer{text, -1}, nil
	case http.StatusConflict:
		size, err := parseConflict(header.Get("Content-Type"), text)
		return witnessAnswer{nil, size}, err
	}
	if status == http.StatusUnprocessableEntity {
		return witnessAnswer{}, errUnprocessable
	}
	return witnessAnswer{}, fmt.Errorf("it answers %d %s", status, http.StatusText(status))
}

// parseConflict reads the body of a 409.
//
// SPEC tlog-witness: "the tree size … in decimal, followed by a newline (U+000A).
// The response MUST have a Content-Type of text/x.tlog.size."
func parseConflict(contentType string, text []byte) (int64, error) {
	if contentType != "text/x.tlog.size" {
		return 0, errors.New("it answers conflict without Content-Type text/x.tlog.size")
	}
	number, ended := strings.CutSuffix(string(text), "\n")
	size, err := trust.ParseDecimal(number)
	if err != nil || !ended {
		return 0, errors.New("it answers conflict without a size")
	}
	return size, nil
}

// exchange makes the request and reads at most max bytes of the answer.
func exchange(client *http.Client, req *http.Request, max int64) (status int, header http.Header, body []byte, err error) {
	req.Header.Set("User-Agent", "assay-ledger")
	resp, err := client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL: whoever reports it names the witness
		}
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, max+1))
	if err != nil {
		return 0, nil, nil, err
	}
	if int64(len(body)) > max {
		return 0, nil, nil, fmt.Errorf("its answer is longer than %d bytes", max)
	}
	return resp.StatusCode, resp.Header, body, nil
}

// latest fetches the checkpoint of our origin from the witness's monitoring copy,
// which we look for at its submission prefix. Only our own signature counts: it is
// the evidence that a larger tree existed, whoever shows it. nil if there is none.
func (e *endpoint) latest(ctx context.Context, client *http.Client, policy *trust.Policy, origin string) (*trust.Checkpoint, error) {
	hash := sha256.Sum256([]byte(origin))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/"+hex.EncodeToString(hash[:])+"/checkpoint", nil)
	if err != nil {
		return nil, err
	}
	status, _, text, err := exchange(client, req, trust.MaxSize)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("it answers %d %s", status, http.StatusText(status))
	}
	cp, err := policy.OpenLogSignature(text)
	if err != nil {
		return nil, err
	}
	if cp.Origin != origin {
		return nil, fmt.Errorf("it answers with a checkpoint of %q", cp.Origin)
	}
	return cp, nil
}
