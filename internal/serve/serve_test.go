package serve_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/serve"
)

// WIT-31
func TestServeFinishesWhatIsUnderWay(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan bool), make(chan bool)
	handler := http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		close(entered)
		<-release
		io.WriteString(out, "done")
	})
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve.HTTP(ctx, ln, handler, nil, serve.Limits{}) }()
	answered := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answered <- string(body)
	}()
	<-entered
	cancel()
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("got %q", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("still listening")
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := serve.HTTP(t.Context(), ln, http.NotFoundHandler(), nil, serve.Limits{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// FuzzHandler never gets a 500, and a 200 only for what the log signed and the proof proves.
