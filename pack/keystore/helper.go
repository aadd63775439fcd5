package keystore

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
)

const (
	helperVersion  = "assay.signer.v1"
	maxReply       = 64 << 10
	maxComplaints  = 64 << 10
	helperPatience = 30 * time.Second
)

// ErrHelper: the helper ran, and failed or did not answer in time. Trying again may help.
var ErrHelper = errors.New("the signing helper failed")

// Helper is a program that keeps a key where we cannot reach it: in a KMS, in an HSM, on a card. It is
// started once for each request, reads one JSON object from stdin and writes one to stdout (protocol
// assay.signer.v1; base64 is standard and padded):
//
//	{"op":"public","version":"assay.signer.v1"}                     →  {"id":"release-2026","public_key":"<32 bytes>"}
//	{"message":"<≤ 1 MiB>","op":"sign","version":"assay.signer.v1"}  →  {"signature":"<64 bytes>"}
//
// The signature is plain Ed25519 over the message, not over a hash of it. A request and an answer may end
// with a newline. Any exit code but 0 is a failure; stderr is for people.
type Helper struct {
	Argv    []string      // the absolute path of the program, and its arguments; no shell sees them
	Env     []string      // its environment; nil: ours
	Stderr  io.Writer     // what it says, at most 64 KiB a request; nil: dropped. It may say anything.
	Timeout time.Duration // for one request; 0: 30 seconds
}

// Format keeps the arguments and the environment, which may hold secrets, out of every %v, %+v and %#v.
func (h Helper) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "signing helper %q", h.Argv[:min(1, len(h.Argv))])
}

// HelperKey is a key that a helper keeps; it implements pack.Signer.
type HelperKey struct {
	helper *Helper
	id     string
	public ed25519.PublicKey
}

// ID is the signer id that the helper gave.
func (k *HelperKey) ID() string { return k.id }

// Public is the public key, of 32 bytes.
func (k *HelperKey) Public() ed25519.PublicKey { return slices.Clone(k.public) }

// Fingerprint is SHA-256 of the public key.
func (k *HelperKey) Fingerprint() trust.Digest { return Fingerprint(k.public) }

// Key asks the helper which key it keeps.
func (h *Helper) Key() (*HelperKey, error) {
	if len(h.Argv) == 0 || !filepath.IsAbs(h.Argv[0]) {
		return nil, errors.New("signing helper: expected the absolute path of a program")
	}
	v, err := h.ask(jcs.Obj(jcs.M("op", jcs.Str("public")), jcs.M("version", jcs.Str(helperVersion))), "id", "public_key")
	if err != nil {
		return nil, err
	}
	k := &HelperKey{helper: h, id: memberText(v, "id")}
	if err := checkID(k.id); err != nil {
		return nil, fmt.Errorf("signing helper: %w", err)
	}
	if k.public, err = strictBase64(memberText(v, "public_key"), ed25519.PublicKeySize); err != nil {
		return nil, fmt.Errorf("signing helper: public_key: %w", err)
	}
	if err := trust.CheckEd25519Key(k.public); err != nil {
		return nil, fmt.Errorf("signing helper: public_key: %w", err)
	}
	return k, nil
}

// Sign asks the helper for a signature. What it gives is returned only if it is the key's for the message.
func (k *HelperKey) Sign(message []byte) ([]byte, error) {
	v, err := k.helper.ask(jcs.Obj(
		jcs.M("message", jcs.Str(base64.StdEncoding.EncodeToString(message))),
		jcs.M("op", jcs.Str("sign")),
		jcs.M("version", jcs.Str(helperVersion))), "signature")
	if err != nil {
		return nil, err
	}
	signature, err := strictBase64(memberText(v, "signature"), ed25519.SignatureSize)
	if err != nil {
		return nil, fmt.Errorf("signing helper: signature: %w", err)
	}
	if !trust.VerifyEd25519(k.public, message, signature) {
		return nil, fmt.Errorf("signing helper: the signature is not one of key %s for this message", k.id)
	}
	return signature, nil
}

// ask runs the helper once. The answer has exactly the wanted members, all of them texts.
func (h *Helper) ask(request jcs.Value, want ...string) (jcs.Value, error) {
	var answer jcs.Value
	line, err := marshalRecord(request)
	if err != nil {
		return answer, fmt.Errorf("signing helper: %w", err)
	}
	text, err := h.run(line)
	if err != nil {
		return answer, err
	}
	answer, err = jcs.Parse(text, jcs.Limits{Bytes: maxReply, Depth: 2})
	ok := err == nil && answer.Kind == jcs.Object && len(answer.Members) == len(want)
	for _, name := range want {
		m, found := answer.Get(name)
		ok = ok && found && m.Kind == jcs.String
	}
	if !ok { // the answer is not quoted: who knows what a broken helper says
		return answer, fmt.Errorf("signing helper: its answer is not a JSON object of %q", want)
	}
	return answer, nil
}

func (h *Helper) run(request []byte) ([]byte, error) {
	patience := h.Timeout
	if patience <= 0 {
		patience = helperPatience
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	c := exec.CommandContext(ctx, h.Argv[0], h.Argv[1:]...)
	c.WaitDelay = 2 * time.Second // for what it started and left with our pipes
	c.Env = h.Env
	c.Stdin = bytes.NewReader(request)
	reply, complaints := &limited{limit: maxReply, stop: stop}, &limited{limit: maxComplaints}
	c.Stdout, c.Stderr = reply, complaints
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("signing helper: %w", err)
	}
	err := c.Wait()
	if h.Stderr != nil {
		_, _ = h.Stderr.Write(complaints.buf.Bytes()) // talk
	}
	switch {
	case reply.over:
		return nil, fmt.Errorf("signing helper: its answer has more than %d bytes", maxReply)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, fmt.Errorf("%w: no answer within %v", ErrHelper, patience)
	case c.ProcessState.Success():
		// What is left of err is about pipes: a helper need not read what it does not need.
		return reply.buf.Bytes(), nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrHelper, err)
	}
	return nil, ErrHelper
}

// limited keeps the first bytes and drops the others, so that the writer is never stopped.
type limited struct {
	buf   bytes.Buffer
	limit int
	over  bool
	stop  func() // nil, or called when more comes
}

func (l *limited) Write(p []byte) (int, error) {
	room := min(len(p), l.limit-l.buf.Len())
	l.buf.Write(p[:room])
	if room < len(p) && !l.over {
		if l.over = true; l.stop != nil {
			l.stop()
		}
	}
	return len(p), nil
}

func strictBase64(text string, size int) ([]byte, error) {
	data, err := trust.DecodeBase64(text)
	if err != nil || len(data) != size {
		return nil, fmt.Errorf("expected %d bytes in standard base64", size)
	}
	return data, nil
}
