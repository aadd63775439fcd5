package second

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
)

// second is the second verifier, running and asked in batches: starting it costs more than a thousand answers.
type second struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func serve(t *testing.T) *second {
	t.Helper()
	c := exec.CommandContext(t.Context(), findNode(t), "testdata/serve.mjs")
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		c.Wait()
	})
	return &second{in, bufio.NewReaderSize(out, 1<<20)}
}

// askSecond gives an answer of type A for each item.
func askSecond[A, Q any](t *testing.T, s *second, op string, items []Q) []A {
	t.Helper()
	line, err := json.Marshal(map[string]any{"op": op, "items": items})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	answer, err := s.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("no answer to %q: %v", op, err)
	}
	var answers []A
	if err := json.Unmarshal(answer, &answers); err != nil || len(answers) != len(items) {
		t.Fatalf("%d answers to %d questions %q (%v): %.300s", len(answers), len(items), op, err, answer)
	}
	return answers
}
