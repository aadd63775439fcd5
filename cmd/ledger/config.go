package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/Haserjian/assay-ledger/internal/cli"
	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/ledger"
	"github.com/Haserjian/assay-ledger/ledger/tsa"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/timestamp"
)

// A ledger directory, as init makes it:
//
//	ledger.json     origin, listen address, timestamps
//	policy          C2SP tlog-policy: our own log line, the witnesses and the quorum
//	keys/log.key    the key that signs checkpoints (0600)
//	tsa-roots.pem   the roots that timestamps must chain to
//	log/            Tessera's storage: tiles and entry bundles
//	checkpoints/    every published checkpoint with its cosignatures; made with the first
//	spool/          what was accepted with 202 and is not in the log yet; made when first needed
//	site/           the pages that serve shows, derived from log/ and checkpoints/; may be deleted
//	index/          derived from log/; may be deleted
//
// and beside it DIR.guard, what was signed and published: a backup of the directory does not take it,
// so what is restored from one cannot forget what was signed since. Directories that were made before
// that have it inside, in guard/.
type ledgerHome string

func (d ledgerHome) config() string      { return filepath.Join(string(d), "ledger.json") }
func (d ledgerHome) policy() string      { return filepath.Join(string(d), "policy") }
func (d ledgerHome) key() string         { return filepath.Join(string(d), "keys", "log.key") }
func (d ledgerHome) roots() string       { return filepath.Join(string(d), "tsa-roots.pem") }
func (d ledgerHome) log() string         { return filepath.Join(string(d), "log") }
func (d ledgerHome) checkpoints() string { return filepath.Join(string(d), "checkpoints") }
func (d ledgerHome) site() string        { return filepath.Join(string(d), "site") }
func (d ledgerHome) spool() string       { return filepath.Join(string(d), "spool") }
func (d ledgerHome) index() string       { return filepath.Join(string(d), "index") }

// beside is the name that ledger.json gets for a guard beside the directory: relative, so that both
// can be moved together.
func (d ledgerHome) beside() (string, error) {
	path, err := filepath.Abs(string(d))
	if err != nil {
		return "", err
	}
	if filepath.Dir(path) == path {
		return "", cli.BadInput("name a directory for it with --guard", "there is no place for a guard beside %s", path)
	}
	return filepath.Join("..", filepath.Base(path)+".guard"), nil
}

// guard is the guard's directory, as ledger.json names it.
func (d ledgerHome) guard(named string) string {
	switch {
	case named == "":
		return filepath.Join(string(d), "guard")
	case filepath.IsAbs(named):
		return named
	}
	return filepath.Join(string(d), named)
}

// files reads what the ledger has published, whether it runs or not.
func (d ledgerHome) files(conf ledgerConfig, policy *trust.Policy, roots *timestamp.Roots) *ledger.Files {
	return &ledger.Files{Dir: d.log(), GuardDir: d.guard(conf.Guard), CheckpointsDir: d.checkpoints(), LedgerPolicy: policy, TSARoots: roots}
}

// holds tells whether a path lies inside the directory, whatever links lead there, so that a backup takes
// it along. What cannot be told counts as inside.
func (d ledgerHome) holds(path string) bool {
	inside, err := ledger.Within(path, string(d))
	return err != nil || inside
}

// ledgerConfig is ledger.json. Its reader accepts the members below, each at most once, and no other.
type ledgerConfig struct {
	Origin     string
	Listen     string               // host:port; port 0 picks a free one
	Timestamps ledger.TimestampMode // require, prefer or off
	TSA        []string             // URLs, tried in order
	Guard      string               // directory of the guard, relative to the ledger's; empty: guard inside it, as older releases had it
}

func (c ledgerConfig) marshal() ([]byte, error) {
	urls := make([]jcs.Value, len(c.TSA))
	for i, u := range c.TSA {
		urls[i] = jcs.Str(u)
	}
	v := jcs.Obj(
		jcs.M("origin", jcs.Str(c.Origin)),
		jcs.M("listen", jcs.Str(c.Listen)),
		jcs.M("timestamps", jcs.Str(string(c.Timestamps))),
		jcs.M("tsa", jcs.Arr(urls...)),
	)
	if c.Guard != "" {
		v.Members = append(v.Members, jcs.M("guard", jcs.Str(c.Guard)))
	}
	text, err := jcs.AppendPretty(nil, v)
	return append(text, '\n'), err
}

// maxConfig bytes of ledger.json are read.
const maxConfig = 64 << 10

func readConfig(d ledgerHome) (ledgerConfig, error) {
	text, err := cli.ReadFile(d.config(), maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return ledgerConfig{}, noLedger(d)
	} else if err != nil {
		return ledgerConfig{}, err
	}
	v, err := jcs.Parse(text, jcs.Limits{})
	if err != nil {
		return ledgerConfig{}, cli.BadInput("", "%s: %v", d.config(), err)
	}
	if v.Kind != jcs.Object {
		return ledgerConfig{}, cli.BadInput("", "%s is not a JSON object", d.config())
	}
	var c ledgerConfig
	for _, m := range v.Members {
		want := jcs.String
		switch m.Name {
		case "origin":
			c.Origin = m.Value.Text
		case "listen":
			c.Listen = m.Value.Text
		case "timestamps":
			c.Timestamps = ledger.TimestampMode(m.Value.Text)
		case "guard":
			c.Guard = m.Value.Text
		case "tsa":
			want = jcs.Array
			for _, u := range m.Value.Items {
				if u.Kind != jcs.String {
					return ledgerConfig{}, cli.BadInput("", "%s: tsa is not a list of URLs", d.config())
				}
				c.TSA = append(c.TSA, u.Text)
			}
		default:
			return ledgerConfig{}, cli.BadInput("members are origin, listen, timestamps, tsa, guard", "%s: unknown member %q", d.config(), m.Name)
		}
		if m.Value.Kind != want {
			return ledgerConfig{}, cli.BadInput("", "%s: member %s has the wrong type", d.config(), m.Name)
		}
	}
	var wrong *cli.Error
	if err := c.check(); errors.As(err, &wrong) {
		return ledgerConfig{}, cli.BadInput(wrong.Hint, "%s: %w", d.config(), wrong.Err)
	}
	return c, nil
}

// noLedger is the error for a directory without ledger.json. A mistyped path is likelier than a new ledger.
func noLedger(d ledgerHome) error {
	if _, err := os.Lstat(string(d)); errors.Is(err, fs.ErrNotExist) {
		return cli.BadInput("check the path; 'ledger init' makes a new ledger", "%s does not exist", string(d))
	}
	return cli.BadInput("check the path; 'ledger init' makes a new ledger", "%s is no ledger directory: it has no ledger.json", string(d))
}

func (c ledgerConfig) check() error {
	modes := []ledger.TimestampMode{ledger.TimestampsRequired, ledger.TimestampsPreferred, ledger.TimestampsOff}
	switch {
	case c.Origin == "":
		return cli.BadInput("", "the origin is empty")
	case !slices.Contains(modes, c.Timestamps):
		return cli.BadInput("", "timestamps is %q, not require, prefer or off", c.Timestamps)
	case c.Timestamps != ledger.TimestampsOff && len(c.TSA) == 0:
		return cli.BadInput("init: give --tsa URL and --tsa-roots FILE, or --timestamps off; ledger.json: \"tsa\" and \"timestamps\"",
			"timestamps are %s but no timestamp authority is named", map[ledger.TimestampMode]string{ledger.TimestampsRequired: "required", ledger.TimestampsPreferred: "preferred"}[c.Timestamps])
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return cli.BadInput("", "listen address %q is not HOST:PORT", c.Listen)
	}
	if err := tsa.CheckURLs(c.TSA); err != nil {
		return cli.BadInput("", "%v", err)
	}
	return nil
}

// newKey makes a key, in a process whose memory goes into no core dump from then on.
func newKey(name string, algorithm trust.Algorithm) (secret, vkey string, err error) {
	cli.HoldSecret()
	return trust.GenerateKey(rand.Reader, name, algorithm)
}

// newFiles lists what this process has put into a new directory, in that order. When it fails it takes that away
// and nothing else: the same command must be possible again, and another process may have been faster.
type newFiles []string

// claim makes dir and keys/ in it. Whoever made keys/ owns all that a new service writes into dir: of several
// that race exactly one does.
func (m *newFiles) claim(dir string) error {
	if err := m.dir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := m.dir(filepath.Join(dir, "keys"), 0o700); errors.Is(err, fs.ErrExist) {
		return cli.BadInput("choose a new directory", "%s is not empty: another init was faster", dir)
	} else if err != nil {
		return err
	}
	return nil
}

func (m *newFiles) dir(path string, perm fs.FileMode) error {
	return m.note(path, durable.CreateDir(path, perm))
}

func (m *newFiles) file(path string, data []byte, perm fs.FileMode) error {
	return m.note(path, durable.CreateFile(path, data, perm))
}

// note: what exists is another's; after any other error it may be ours, and there.
func (m *newFiles) note(path string, err error) error {
	if !errors.Is(err, fs.ErrExist) {
		*m = append(*m, path)
	}
	return err
}

func (m newFiles) discard() {
	for _, path := range slices.Backward(m) {
		_ = os.Remove(path) // a directory only if it is empty
	}
}

// readKey is the trimmed text of a key file that only its owner can read.
func readKey(path string) (string, error) {
	text, err := cli.ReadSecret(path)
	if err != nil {
		return "", err
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	return string(text), nil
}

func readPolicy(path string) (*trust.Policy, error) {
	return cli.ReadAs(path, trust.MaxSize, "see c2sp.org/tlog-policy", trust.ParsePolicy)
}

// readRoots reads roots of timestamp authorities. What becomes of them is their certificates: a file may
// hold more than anybody meant to publish.
func readRoots(path string) (*timestamp.Roots, error) {
	return cli.ReadAs(path, timestamp.MaxRoots, "it holds the certificates that timestamps must chain to, and nothing else in PEM", timestamp.ParseRoots)
}

// emptyOrMissing refuses to mix a new service into a directory that holds something.
func emptyOrMissing(path string) error {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return cli.BadInput("choose a new directory", "%s is not empty", path)
	}
	return nil
}
