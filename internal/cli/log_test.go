package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/internal/terminal"
)

func TestNoSecretKeyIsShownOrLoggedWhereverItWasGiven(t *testing.T) {
	const seed = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	key := "PRIVATE+KEY+example.com/log+b1f0c2d3+" + seed
	pem := "-----BEGIN PRIVATE KEY-----\n" + seed + "\n-----END PRIVATE KEY-----"
	for _, text := range []string{
		key, fmt.Sprintf("policy line 1: unknown keyword %q", key), fmt.Sprintf("%q has 1 words", key+" "+key), "x" + key + "\ny",
		pem, fmt.Sprintf("%q", pem), strings.Replace(pem, "PRIVATE", "EC PRIVATE", 1),
	} {
		var log bytes.Buffer
		l := Logger(&log).With("with", text)
		l.Error(text, "text", text, "err", errors.New(text), "wrapped", fmt.Errorf("a: %w", errors.New(text)))
		code, talk := runBody(t, []string{"judge"}, func() error { return BadInput(text, "no: %s", text) })
		_, out, _ := runAll(t, []string{"judge", "--json"}, func() error { return BadInput(text, "no: %s", text) })
		if !json.Valid([]byte(out)) || !json.Valid(log.Bytes()) {
			t.Errorf("no JSON any more: %s%s", out, &log)
		}
		for where, shown := range map[string]string{"Safe": terminal.Safe(text), "SafeJSON": string(terminal.SafeJSON(fmt.Appendf(nil, "%q", text))), "the log": log.String(), "stderr": talk, "--json": out} {
			if strings.Contains(shown, seed) || !strings.Contains(shown, terminal.Redacted) || code != ExitBadInput {
				t.Errorf("%s shows %q of %q", where, shown, text)
			}
		}
	}
	for _, text := range []string{"", "a PRIVATE matter", "log example.com+b1f0c2d3+" + seed, "-----BEGIN CERTIFICATE-----\n" + seed} {
		if terminal.Redact(text) != text {
			t.Errorf("%q is not left alone", text)
		}
	}
}
