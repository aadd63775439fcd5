package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gofrs/flock"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/trust"
)

// ErrGuard: the log on disk is not the one whose checkpoints were signed, or cannot
// be shown to be. The sentence in the error says what to do; retrying never helps.
var ErrGuard = errors.New("the guard refuses")

// ErrHistory: what lies in Dir is not the log that was signed: it was rolled back, forked or damaged. It is the
// part of ErrGuard that is a verdict on the log; the rest is about the guard, the key and who has it open.
var ErrHistory = errors.New("the log is not the one that was signed")

type notSigned struct{ error }

func (n notSigned) Unwrap() error      { return n.error }
func (notSigned) Is(target error) bool { return target == ErrHistory }

// guard keeps what must never be taken back, on another path than the log, so that
// restoring the log from a backup cannot restore the guard with it. Its directory holds
//
//	identity    whose log this is: a key, and the version of this layout
//	signed      the largest tree ever signed, durable before the signature leaves the process
//	checkpoint  the last published note with its cosignatures, durable before anybody sees it
//	policy      the policy of the last start, to tell the operator when it has changed
//	lock        an flock, so that one process at a time signs
//
// signed grows by compare and swap: a tree must be proved to continue the last one.
// A crash between signed and checkpoint leaves a tree that is signed for and not
// published; the next publication continues from there.
type guard struct {
	dir    string
	signer *trust.LogSigner
	lock   *flock.Flock

	mu        sync.Mutex
	signed    tree
	published *trust.Checkpoint // nil before the first publication
}

const (
	identityFile   = "identity"
	signedFile     = "signed"
	checkpointFile = "checkpoint"
	policyFile     = "policy"
	lockFile       = "lock"

	guardVersion = "assay-ledger guard v1"
	guardPerm    = 0o600
)

func identity(s *trust.LogSigner) []byte {
	return []byte(guardVersion + "\n" + s.VKey() + "\n")
}

// createGuard makes the guard of an empty log. Of several that race for one directory exactly one wins, and
// one that fails takes away what it made and nothing else.
func createGuard(dir string, signer *trust.LogSigner) (err error) {
	var made []string
	defer func() {
		if err != nil {
			for _, path := range slices.Backward(made) {
				_ = os.Remove(path) // a directory only if it is empty
			}
			err = fmt.Errorf("creating the guard: %w", err)
		}
	}()
	switch err := durable.CreateDir(dir, 0o700); {
	case err == nil:
		made = append(made, dir)
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	if left, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(left) != 0 {
		return fmt.Errorf("%s is not empty: %w", dir, fs.ErrExist)
	}
	empty := trust.Checkpoint{Origin: signer.Origin(), Root: trust.EmptyRoot}
	// identity is last: a guard without it is none, and openGuard says so.
	for _, f := range []struct {
		name string
		text []byte
	}{{signedFile, empty.Text()}, {identityFile, identity(signer)}} {
		path := filepath.Join(dir, f.name)
		err := durable.CreateFile(path, f.text, guardPerm)
		if !errors.Is(err, fs.ErrExist) {
			made = append(made, path) // also if it is not known to be on disk
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// RemakeGuard makes a guard in cfg.GuardDir for the log in cfg.Dir, whose guard was lost, and returns the size
// of that log. The new guard knows of nothing that was signed, so only the witnesses can tell whether this copy
// of the log is the newest: Open signs nothing before enough of them were heard from, learns from the checkpoint
// that they show, and refuses a log that does not continue it. Where the policy names no witness that has to
// cosign, nobody could tell, and RemakeGuard refuses unless unwitnessed says that this is accepted.
//
// A guard that is there is never replaced: it knows more than a new one.
func RemakeGuard(ctx context.Context, cfg Config, unwitnessed bool) (size int64, err error) {
	if cfg, err = cfg.withDefaults(); err != nil {
		return 0, err
	}
	if cfg.Policy.Quorum(nil) && !unwitnessed {
		return 0, fmt.Errorf("%w: the policy names no witness that has to cosign, so nobody could tell whether %s is the newest copy of the log; if it is not, a second history would be signed", ErrGuard, cfg.Dir)
	}
	s, err := openStore(cfg.Dir)
	if err != nil {
		return 0, fmt.Errorf("making a guard: opening the log: %w", err)
	}
	defer s.close()
	if err := awaitNoAppender(ctx, cfg.Dir); err != nil { // a ledger whose guard was deleted below it still signs
		return 0, fmt.Errorf("making a guard: %w", err)
	}
	now, err := s.treeState()
	if err != nil {
		return 0, fmt.Errorf("making a guard: reading the log: %w", err)
	}
	return now.Size, createGuard(cfg.GuardDir, cfg.Signer)
}

// checkApart refuses a guard and a log of which one lies inside the other: what restores one must not restore the other.
func checkApart(log, guard string) error {
	inside, err := Within(guard, log)
	if err != nil {
		return err
	}
	around, err := Within(log, guard)
	switch {
	case err != nil:
		return err
	case inside && around:
		return fmt.Errorf("the guard %s and the log %s are the same directory: what restores one must not restore the other", guard, log)
	case inside:
		return fmt.Errorf("the guard %s lies inside the log %s: what restores one must not restore the other", guard, log)
	case around:
		return fmt.Errorf("the log %s lies inside the guard %s: what restores one must not restore the other", log, guard)
	}
	return nil
}

// Within tells whether path is dir or lies inside it, whatever links and mounts lead there. Neither
// has to exist. An error says that it could not be told.
func Within(path, dir string) (bool, error) {
	path, err := resolve(path)
	if err != nil {
		return false, err
	}
	if dir, err = resolve(dir); err != nil {
		return false, err
	}
	holder, holderErr := os.Stat(dir)
	for {
		if path == dir {
			return true, nil
		}
		if here, err := os.Stat(path); err == nil && holderErr == nil && os.SameFile(here, holder) { // mounted twice
			return true, nil
		}
		above := filepath.Dir(path)
		if above == path {
			return false, nil
		}
		path = above
	}
}

// resolve is the absolute path without links of what is there or would be made there.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for rest := ""; ; {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if _, there := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) || there == nil || filepath.Dir(path) == path {
			return "", fmt.Errorf("following the links of %s: %w", path, err) // there: a link to nothing
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

// noGuard is the error for a directory that holds no guard, whoever looks for one.
func noGuard(dir string) error {
	return fmt.Errorf("%w: there is no guard in %s: put it back from where it was; if it is lost, 'ledger guard init' makes one that learns from the witnesses; for a new log, 'ledger init' makes both", ErrGuard, dir)
}

// openGuard takes the lock and reads the guard of the signer's log.
func openGuard(dir string, signer *trust.LogSigner, policy *trust.Policy) (_ *guard, err error) {
	id, err := readSmall(dir, identityFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noGuard(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the guard: %w", err)
	}
	if string(id) != string(identity(signer)) {
		return nil, fmt.Errorf("%w: %s guards %s, the key given is %s: start with the key of this log",
			ErrGuard, dir, guardedKey(id), signer.VKey())
	}
	lock, err := fileLock(filepath.Join(dir, lockFile), os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("locking the guard: %w", err)
	}
	g := &guard{dir: dir, signer: signer, lock: lock}
	locked, err := g.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the guard: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: another process has the log of %s open: stop it first", ErrGuard, dir)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if err := g.read(policy); err != nil {
		return nil, err
	}
	return g, nil
}

func guardedKey(id []byte) string {
	key, ok := strings.CutPrefix(string(id), guardVersion+"\n")
	if !ok {
		return "a log of another version of this program"
	}
	return strings.TrimSuffix(key, "\n")
}

// read loads signed and checkpoint. Both were written by rename, so they are whole or absent.
func (g *guard) read(policy *trust.Policy) error {
	text, err := readSmall(g.dir, signedFile)
	if err != nil {
		return fmt.Errorf("%w: %s cannot be read (%w): restore it from where it was", ErrGuard, filepath.Join(g.dir, signedFile), err)
	}
	cp, err := trust.ParseCheckpointText(text)
	if err != nil || cp.Origin != g.signer.Origin() || len(cp.Extensions) != 0 {
		return fmt.Errorf("%w: %s is damaged: restore it from where it was", ErrGuard, filepath.Join(g.dir, signedFile))
	}
	g.signed = tree{cp.Size, cp.Root}

	note, err := readSmall(g.dir, checkpointFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing has been published yet; signed alone keeps the promise
	}
	if err != nil {
		return fmt.Errorf("%w: %s cannot be read (%w): delete it, the next publication replaces it", ErrGuard, filepath.Join(g.dir, checkpointFile), err)
	}
	// Only the log's signature: the policy may have become stricter since, and then
	// the note is not served but still binds.
	if g.published, err = policy.OpenLogSignature(note); err != nil {
		return fmt.Errorf("%w: %s is damaged (%w): delete it, the next publication replaces it", ErrGuard, filepath.Join(g.dir, checkpointFile), err)
	}
	if g.published.Size > g.signed.Size || g.published.Size == g.signed.Size && g.published.Root != g.signed.Root {
		return fmt.Errorf("%w: in %s the published checkpoint is ahead of what was signed: the two files are from different times, restore both",
			ErrGuard, g.dir)
	}
	return nil
}

func readSmall(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// The store calls what is no regular file missing; here "missing" has a meaning.
	return readRegular(root, name, trust.MaxSize)
}

// rememberPolicy logs how the policy differs from that of the last start: to edit it is the way out of
// a witness that is gone, and also the way to no longer ask one that knows too much. A change that
// cannot be remembered is told again at the next start.
func (g *guard) rememberPolicy(policy *trust.Policy, log *slog.Logger) {
	before, err := readSmall(g.dir, policyFile)
	if err == nil && bytes.Equal(before, policy.Text()) {
		return
	}
	if err == nil {
		old, _ := trust.ParsePolicy(before) // nil, as good as empty, if it is damaged
		log.Warn("the policy is not the one of the last start",
			"removed", witnessesOnlyIn(old, policy), "added", witnessesOnlyIn(policy, old))
	}
	if err := durable.WriteFile(filepath.Join(g.dir, policyFile), policy.Text(), guardPerm); err != nil {
		log.Warn("the policy of this start is not remembered", "err", err)
	}
}

// witnessesOnlyIn lists the witnesses of p that q does not have, as "name vkey".
func witnessesOnlyIn(p, q *trust.Policy) []string {
	list := func(p *trust.Policy) (names []string) {
		if p != nil {
			for _, w := range p.Witnesses() {
				names = append(names, w.Name+" "+w.VKey)
			}
		}
		return names
	}
	others := list(q)
	return slices.DeleteFunc(list(p), func(name string) bool { return slices.Contains(others, name) })
}

func (g *guard) close() error { return g.lock.Unlock() }

// highWater is the largest tree ever signed.
func (g *guard) highWater() tree {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.signed
}

// sign returns the signed note of t. It signs only what consistency proves to
// continue the last signed tree, and only after t is durable here: whatever
// happens afterwards, no process can be made to sign a smaller or another tree.
//
// An error that is ErrGuard says that t is not our log; every other one may pass.
func (g *guard) sign(t tree, consistency func(old, size int64) ([]tlog.Hash, error)) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// STO-8: what was signed never goes back.
	if t.Size < g.signed.Size {
		return nil, fmt.Errorf("%w: the tree has size %d, below %d which has been signed", ErrGuard, t.Size, g.signed.Size)
	}
	if t != g.signed {
		if err := g.advance(t, consistency); err != nil {
			return nil, err
		}
	}
	return g.signer.Sign(g.signer.Origin(), t.Size, t.Root)
}

// adopt remembers that t was signed, which somebody has shown with our signature on it, if it is
// larger than what was remembered: the guard may come from a backup that the log does not come from.
func (g *guard) adopt(t tree, consistency func(old, size int64) ([]tlog.Hash, error)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.Size <= g.signed.Size {
		return nil
	}
	return g.advance(t, consistency)
}

func (g *guard) advance(t tree, consistency func(old, size int64) ([]tlog.Hash, error)) error {
	proof, err := consistency(g.signed.Size, t.Size)
	if err != nil {
		return fmt.Errorf("proving consistency: %w", err)
	}
	if err := trust.CheckConsistency(g.signed.Size, g.signed.Root, t.Size, t.Root, proof); err != nil {
		return fmt.Errorf("%w: the tree of %v does not continue the signed one of %v: %w", ErrGuard, t, g.signed, err)
	}
	cp := trust.Checkpoint{Origin: g.signer.Origin(), Size: t.Size, Root: t.Root}
	// STO-8: durable before the signature leaves. If this fails the file holds the old tree or the new one; memory stays with the
	// old, and the next try is at least as large as either.
	if err := durable.WriteFile(filepath.Join(g.dir, signedFile), cp.Text(), guardPerm); err != nil {
		return fmt.Errorf("writing the guard: %w", err)
	}
	g.signed = t
	return nil
}

// publish makes cp durable as the published checkpoint. The same tree may be
// published again, with more cosignatures; a smaller one or another never.
func (g *guard) publish(cp *trust.Checkpoint) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if cp.Size > g.signed.Size || cp.Size == g.signed.Size && cp.Root != g.signed.Root {
		return fmt.Errorf("%w: size %d was never signed", ErrGuard, cp.Size)
	}
	if p := g.published; p != nil && (cp.Size < p.Size || cp.Size == p.Size && cp.Root != p.Root) {
		return fmt.Errorf("%w: size %d does not continue the published %d", ErrGuard, cp.Size, p.Size)
	}
	// STO-9: durable before anybody sees it.
	if err := durable.WriteFile(filepath.Join(g.dir, checkpointFile), cp.Signed, guardPerm); err != nil {
		return fmt.Errorf("writing the guard: %w", err)
	}
	g.published = cp
	return nil
}
