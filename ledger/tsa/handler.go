package tsa

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/Haserjian/assay-ledger/internal/serve"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

const homePage = `This is a development timestamping authority (RFC 3161). It is not a trusted time source.

POST / with Content-Type %s asks for a timestamp.
GET /root.pem is the certificate to trust, for tests and demonstrations only.
`

// Handler serves an Authority:
//
//	POST /          application/timestamp-query -> application/timestamp-reply
//	GET  /          a text that says what this is
//	GET  /root.pem  the CA certificate
//
// A request that is not a timestamp request is still answered with 200 and a rejection, as
// RFC 3161 has it; 405, 413 and 415 are about the HTTP around it. now (nil: time.Now) is the clock.
func Handler(a *timestamp.Authority, now func() time.Time) http.Handler {
	if now == nil {
		now = time.Now
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		request, status, err := readQuery(w, r)
		if err != nil {
			writeAnswer(w, status, "text/plain; charset=utf-8", []byte(err.Error()+"\n"))
			return
		}
		writeAnswer(w, http.StatusOK, replyType, a.Respond(request, now()))
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		writeAnswer(w, http.StatusOK, "text/plain; charset=utf-8", fmt.Appendf(nil, homePage, queryType))
	})
	mux.HandleFunc("GET /root.pem", func(w http.ResponseWriter, r *http.Request) {
		writeAnswer(w, http.StatusOK, "application/x-pem-file", a.RootPEM())
	})
	return mux
}

func readQuery(w http.ResponseWriter, r *http.Request) (query []byte, status int, err error) {
	if !hasType(r.Header, queryType) {
		return nil, http.StatusUnsupportedMediaType, errors.New("content type: want " + queryType)
	}
	query, err = serve.Body(w, r, timestamp.MaxSize)
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("request: want at most %d bytes", timestamp.MaxSize)
	}
	if err != nil {
		return nil, http.StatusBadRequest, errors.New("request: the body could not be read")
	}
	return query, http.StatusOK, nil
}

func writeAnswer(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body) // the peer may have gone; there is nobody else to tell
}
