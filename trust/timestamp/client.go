package timestamp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"
)

// What a Client makes of clocks that disagree.
const (
	clockSkew     = time.Minute      // how far a TSA may be ahead of us
	defaultMaxAge = 10 * time.Minute // how far a token may lie behind the question
)

// Client asks one TSA. Which of several, and what to do when it fails, is not its business: ledger/tsa
// has that.
type Client struct {
	URL     string
	Options Options                                                               // Nonce is ours; NotAfter can only be made earlier
	MaxAge  time.Duration                                                         // genTime may lie so far before now; 0: 10 minutes
	Rand    io.Reader                                                             // nil: crypto/rand
	Now     func() time.Time                                                      // nil: time.Now
	Post    func(ctx context.Context, url string, request []byte) ([]byte, error) // carries the request; ledger/tsa has the HTTP one
}

// Timestamp returns a verified token over the digest. Its errors do not show the URL, which may hold a
// password.
func (c *Client) Timestamp(ctx context.Context, digest [32]byte) (*Token, error) {
	if c.URL == "" {
		return nil, errors.New("timestamp: no TSA URL configured")
	}
	if c.Post == nil {
		return nil, errors.New("timestamp: the client has no Post to carry requests")
	}
	nonce, err := newNonce(c.Rand)
	if err != nil {
		return nil, err
	}
	request, err := Request(digest, nonce)
	if err != nil {
		return nil, err
	}
	asked := c.now()
	response, err := c.Post(ctx, c.URL, request)
	if err != nil {
		return nil, err
	}
	der, err := ParseResponse(response)
	if err != nil {
		return nil, err
	}
	o := c.Options
	o.Nonce = nonce
	if latest := c.now().Add(clockSkew); o.NotAfter.IsZero() || latest.Before(o.NotAfter) {
		o.NotAfter = latest
	}
	token, err := Verify(der, digest, o)
	if err != nil {
		return nil, err
	}
	if earliest := asked.Add(-c.maxAge()); token.Time.Before(earliest) {
		return nil, fmt.Errorf("timestamp token: genTime %s is more than %s before the question",
			token.Time.Format(time.RFC3339), c.maxAge())
	}
	return token, nil
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Client) maxAge() time.Duration {
	if c.MaxAge == 0 {
		return defaultMaxAge
	}
	return c.MaxAge
}

// newNonce gives 64 random bits: what every TSA echoes, openssl's among them.
func newNonce(random io.Reader) (*big.Int, error) {
	if random == nil {
		random = rand.Reader
	}
	var b [8]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	return new(big.Int).SetBytes(b[:]), nil
}
