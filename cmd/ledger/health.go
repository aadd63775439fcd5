package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/terminal"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

func healthCmd(s cli.Streams) *cobra.Command {
	var timeout, wait time.Duration
	c := &cobra.Command{
		Use:   "health URL",
		Short: "Ask a ledger whether it takes entries now",
		Long: `health asks /readyz of the ledger at URL and exits 0 if a submission made now would get its
proof. If not, or if nobody answers, it says why and exits 4; with --wait it asks again until then. It needs no curl, so an image that holds
nothing but these programs can have a HEALTHCHECK.`,
		Example: `  ledger health http://127.0.0.1:8080
  ledger health https://ledger.example --timeout 2s
  ledger health http://127.0.0.1:8080 --wait 30s`,
		Args: cli.Args(cobra.ExactArgs(1), "one URL"),
		RunE: func(c *cobra.Command, args []string) error {
			if timeout <= 0 || wait < 0 {
				return cli.BadInput("", "--timeout %s or --wait %s is no time at all", timeout, wait)
			}
			address, err := readyURL(args[0])
			if err != nil {
				return err
			}
			text, err := awaitReady(c.Context(), address, timeout, wait)
			if err != nil {
				return cli.Unavailable("", "%w", err)
			}
			for line := range strings.Lines(text) {
				if _, err := fmt.Fprintln(s.Out, terminal.Safe(strings.TrimSuffix(line, "\n"))); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for the answer")
	c.Flags().DurationVar(&wait, "wait", 0, "ask again for so long while it is not ready, as one that has just been started")
	return c
}

// awaitReady asks until wait is over, each time for at most timeout; if wait is 0, once. The error is that of the last
// answer, not of one for which too little of wait was left.
func awaitReady(ctx context.Context, address string, timeout, wait time.Duration) (string, error) {
	until, cancel := context.WithTimeout(ctx, cmp.Or(wait, timeout))
	defer cancel()
	var last error
	for {
		asking, cancel := context.WithTimeout(until, timeout)
		text, err := askReady(asking, address)
		cancel()
		if err == nil {
			return text, nil
		}
		if last == nil || until.Err() == nil {
			last = err
		}
		if wait > 0 {
			select {
			case <-until.Done():
			case <-time.After(20 * time.Millisecond):
				continue
			}
		}
		if ctx.Err() != nil {
			return "", errors.New("interrupted")
		}
		return "", last
	}
}

func readyURL(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(base, "?#") {
		return "", cli.BadInput("such as http://127.0.0.1:8080", "the URL of a ledger is an absolute http or https one, without user, query and fragment")
	}
	return strings.TrimSuffix(base, "/") + "/readyz", nil
}

const maxReady = 64 << 10

// askReady is what a ledger that is ready says, or why the one asked is not.
func askReady(ctx context.Context, address string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := c.Do(r)
	if err != nil {
		if e := (*url.Error)(nil); errors.As(err, &e) {
			err = e.Err
		}
		return "", fmt.Errorf("nobody answers: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxReady))
	switch ready, _, _ := strings.Cut(string(text), "\n"); {
	case err != nil:
		return "", fmt.Errorf("reading the answer: %w", err)
	case answer.StatusCode == http.StatusOK && ready == "ready":
		return string(text), nil
	case answer.StatusCode == http.StatusOK: // a proxy, or a page that greets everybody, is no ledger that is ready
		return "", errors.New("it answers 200, but not that it is ready: is this a ledger?")
	case answer.StatusCode == http.StatusServiceUnavailable:
		return "", fmt.Errorf("not ready: %s", notReadyReasons(text))
	}
	return "", fmt.Errorf("it answers %d, want 200 or 503: is this a ledger?", answer.StatusCode)
}

// notReadyReasons reads the reasons from a problem document (RFC 9457) of our API.
func notReadyReasons(text []byte) string {
	problem, err := jcs.Parse(text, jcs.Limits{})
	if err != nil {
		return "it does not say why"
	}
	member := func(v jcs.Value, name string) (found jcs.Value) {
		for _, m := range v.Members {
			if m.Name == name {
				found = m.Value
			}
		}
		return found
	}
	var reasons []string
	for _, reason := range member(problem, "reasons").Items {
		reasons = append(reasons, member(reason, "about").Text+": "+member(reason, "detail").Text)
	}
	if len(reasons) == 0 {
		return member(problem, "title").Text
	}
	return strings.Join(reasons, " ")
}
