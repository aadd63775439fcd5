package timestamp_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// A client asks a development TSA in the same process. Over HTTP, Post is that of ledger/tsa.
func ExampleClient() {
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	authority, err := timestamp.NewAuthority(nil, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.RootPEM())

	client := timestamp.Client{
		URL:     "https://tsa.example/",
		Options: timestamp.Options{Roots: roots},
		Now:     func() time.Time { return now },
		Post: func(_ context.Context, _ string, request []byte) ([]byte, error) {
			return authority.Respond(request, now), nil
		},
	}
	token, err := client.Timestamp(context.Background(), sha256.Sum256([]byte("manifest")))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Time.Format(time.RFC3339), "±", token.Accuracy)
	fmt.Println(token.Signer)
	// Output:
	// 2026-03-14T15:09:26Z ± 1s
	// CN=Assay development TSA - not a trusted time source
}
