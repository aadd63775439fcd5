// Package timestamp makes and verifies RFC 3161 timestamps. It opens no connection.
package timestamp

import (
	"context"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"time"
)

var errStub = errors.New("not built yet")

// Options says which tokens are believed. Roots is required.
type Options struct {
	Roots    *x509.CertPool
	Policies []asn1.ObjectIdentifier // empty: any
	Nonce    *big.Int                // nil: not compared
	NotAfter time.Time               // genTime later than this is refused; zero: not checked
}

// Token is what a verified TimeStampToken says. The time is somewhere in [Time-Accuracy, Time+Accuracy].
type Token struct {
	Time     time.Time
	Accuracy time.Duration
	Policy   asn1.ObjectIdentifier
	Serial   *big.Int
	Signer   string // subject of the TSA certificate
	DER      []byte
}

// Verify checks a DER TimeStampToken over a SHA-256 digest.
func Verify(der []byte, digest [32]byte, o Options) (*Token, error) { return nil, errStub }

// Request returns a DER TimeStampReq (SHA-256, certReq true) with the nonce.
func Request(digest [32]byte, nonce *big.Int) ([]byte, error) { return nil, errStub }

// ParseResponse returns the DER token of a granted response, or an error with the TSA's status.
func ParseResponse(der []byte) ([]byte, error) { return nil, errStub }

// Client asks TSAs in order until one gives a token that verifies.
type Client struct {
	URLs    []string
	Options Options
	Rand    io.Reader                                                             // nil: crypto/rand
	Now     func() time.Time                                                      // nil: time.Now
	Post    func(ctx context.Context, url string, request []byte) ([]byte, error) // carries the request; ledger/tsa has the HTTP one
}

func (c *Client) Timestamp(ctx context.Context, digest [32]byte) (*Token, error) { return nil, errStub }

// Authority is a development TSA: P-256, its own CA, in process. It says so in every answer.
type Authority struct{}

func NewAuthority(rand io.Reader, now time.Time) (*Authority, error) { return nil, errStub }
func ParseAuthority(pem []byte) (*Authority, error)                  { return nil, errStub }
func (a *Authority) MarshalPEM() ([]byte, error)                     { return nil, errStub } // CA cert, TSA cert, TSA key
func (a *Authority) RootPEM() []byte                                 { return nil }
func (a *Authority) Respond(request []byte, now time.Time) []byte    { return nil } // DER response, also for bad requests
