// Package keystore holds the signing keys under ~/.assay/keys (pack.md §7).
package keystore

import (
	"crypto/ed25519"
	"errors"
	"io"
)

var errStub = errors.New("not built yet")

const DefaultID = "assay-local"

type Store struct{ Dir string }

// Key is a signing key; it implements pack.Signer.
type Key struct{}

func (k *Key) ID() string                          { return "" }
func (k *Key) Public() ed25519.PublicKey           { return nil }
func (k *Key) Sign(message []byte) ([]byte, error) { return nil, errStub }
func (k *Key) Fingerprint() string                 { return "" } // hex SHA-256 of the public key

// Info is one line of a listing.
type Info struct {
	ID, Fingerprint string
	Active          bool
}

var ErrExists = errors.New("a key with this id exists")
var ErrNotFound = errors.New("no such key")

func (s *Store) Generate(rand io.Reader, id string) (*Key, error) { return nil, errStub }
func (s *Store) Load(id string) (*Key, error)                     { return nil, errStub }
func (s *Store) List() ([]Info, error)                            { return nil, errStub }
func (s *Store) Active() (string, error)                          { return "", errStub }
func (s *Store) SetActive(id string) error                        { return errStub }
