// Package index is a SQLite view of the log: which manifest, pack root, signer,
// repository and claim verdict stands at which index.
//
// It is a cache. Nothing in it is believed: whoever finds an index here reads the
// entry from the log and proves it. Deleting the file is a supported operation;
// ledger.Open fills a new one from the log. Rows are keyed by their index in the
// log and form a prefix of it, [0, Size): Append takes exactly the next ones.
//
// The package wants SQLite's writes to survive power loss (WAL with
// synchronous=FULL), not because rows could not be derived again, but because an
// index that forgot what it had acknowledged would have to be compared row by row.
package index

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/Haserjian/assay-ledger/pack"
)

const readers = 4 // connections

// schemaVersion is kept in PRAGMA user_version. There are no migrations: an index
// of another version is deleted and derived again.
const schemaVersion = 1

const schema = `
CREATE TABLE log (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	origin TEXT NOT NULL
) STRICT;
CREATE TABLE entry (
	idx          INTEGER PRIMARY KEY CHECK (idx >= 0), -- in the log
	manifest     BLOB NOT NULL UNIQUE,                 -- SHA-256; the log holds each manifest once
	pack_root    BLOB NOT NULL,                        -- SHA-256; several manifests may share one
	signer_key   BLOB NOT NULL,                        -- SHA-256 of the public key
	source_repo  TEXT NOT NULL,
	claim_check  TEXT NOT NULL,
	submitted_at INTEGER NOT NULL                      -- milliseconds since 1970
) STRICT;
CREATE INDEX entry_pack_root ON entry (pack_root);
CREATE INDEX entry_signer_key ON entry (signer_key);
CREATE INDEX entry_source_repo ON entry (source_repo);
CREATE INDEX entry_claim_check ON entry (claim_check);
`

var (
	// ErrForeign: the file is the index of another log, or of another version of this package.
	ErrForeign = errors.New("the index file belongs to something else")

	// ErrOutOfOrder: Append was not given the entries that follow the last one.
	ErrOutOfOrder = errors.New("entries do not continue the index")
)

// Index is safe for concurrent use.
type Index struct {
	write *sql.DB   // one connection: SQLite has one writer, and waiting in line here beats SQLITE_BUSY
	read  *sql.DB   // several, which see the last commit
	find  *sql.Stmt // asked for every submission
}

// Open opens or creates the index of one log. An index of another origin, another
// schema version or a damaged file is refused with an error that says to delete it.
func Open(path, origin string) (*Index, error) {
	if origin == "" {
		return nil, errors.New("index: no origin")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	// SQLite would create the file with 0644; its -wal and -shm files take over our mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	x := &Index{}
	if x.write, err = sql.Open("sqlite", dsn(path, "")); err != nil {
		return nil, fmt.Errorf("index %s: %w", path, err)
	}
	x.write.SetMaxOpenConns(1)
	if err := x.prepare(context.Background(), origin); err != nil {
		return nil, errors.Join(fmt.Errorf("index %s: %w", path, err), x.Close())
	}
	if x.read, err = sql.Open("sqlite", dsn(path, "&_pragma=query_only(1)")); err != nil {
		return nil, errors.Join(fmt.Errorf("index %s: %w", path, err), x.Close())
	}
	// As many idle as open: database/sql would otherwise close what a burst leaves over
	// and open it again for the next one, in a goroutine that outlives Close.
	x.read.SetMaxOpenConns(readers)
	x.read.SetMaxIdleConns(readers)
	if x.find, err = x.read.Prepare("SELECT idx FROM entry WHERE manifest = ?"); err != nil {
		return nil, errors.Join(fmt.Errorf("index %s: %w", path, err), x.Close())
	}
	return x, nil
}

// dsn: WAL so that readers never wait for the writer, FULL because NORMAL loses
// acknowledged commits in a power cut, immediate because a reader that turns into
// a writer fails at once with SQLITE_BUSY whatever the timeout.
func dsn(path, more string) string {
	u := url.URL{Scheme: "file", Path: path}
	return u.String() + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate" + more
}

func (x *Index) prepare(ctx context.Context, origin string) error {
	var verdict string
	if err := x.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("%w (if it is damaged, delete it: it is derived again from the log)", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("damaged (%s): delete it, it is derived again from the log", verdict)
	}
	tx, err := x.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch version {
	case 0:
		if err := create(ctx, tx, origin); err != nil {
			return err
		}
	case schemaVersion:
		var bound string
		if err := tx.QueryRowContext(ctx, "SELECT origin FROM log").Scan(&bound); err != nil {
			return fmt.Errorf("reading its origin: %w", err)
		}
		if bound != origin {
			return fmt.Errorf("%w: it indexes %q, this log is %q", ErrForeign, bound, origin)
		}
	default:
		return fmt.Errorf("%w: schema version %d, this program writes %d: delete it, it is derived again from the log",
			ErrForeign, version, schemaVersion)
	}
	return tx.Commit()
}

func create(ctx context.Context, tx *sql.Tx, origin string) error {
	var tables int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return err
	}
	if tables != 0 {
		return fmt.Errorf("%w: a SQLite database that this program did not write", ErrForeign)
	}
	if _, err := tx.ExecContext(ctx, schema); err != nil {
		return fmt.Errorf("creating the schema: %w", err)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO log (id, origin) VALUES (1, ?)", origin); err != nil {
		return fmt.Errorf("binding the origin: %w", err)
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

// Close closes the file. No other method may be running.
func (x *Index) Close() error {
	var errs []error
	if x.find != nil {
		errs = append(errs, x.find.Close())
	}
	for _, db := range []*sql.DB{x.read, x.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Size is the number of entries indexed: [0, Size).
func (x *Index) Size(ctx context.Context) (int64, error) {
	size, err := sizeOf(ctx, x.read)
	if err != nil {
		return 0, fmt.Errorf("index: reading its size: %w", err)
	}
	return size, nil
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func sizeOf(ctx context.Context, q querier) (int64, error) {
	var size int64
	err := q.QueryRowContext(ctx, "SELECT coalesce(max(idx) + 1, 0) FROM entry").Scan(&size)
	return size, err
}

// Append adds the entries [start, start+len(entries)) in one durable transaction:
// all or nothing. start must equal Size, or the error is ErrOutOfOrder. A manifest
// that is there already fails: a log that holds one twice has broken its promise.
func (x *Index) Append(ctx context.Context, start int64, entries []pack.Logged) error {
	tx, err := x.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	defer tx.Rollback()
	size, err := sizeOf(ctx, tx)
	if err != nil {
		return fmt.Errorf("index: reading its size: %w", err)
	}
	if size != start {
		return fmt.Errorf("%w: it holds %d, the entries start at %d", ErrOutOfOrder, size, start)
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO entry
		(idx, manifest, pack_root, signer_key, source_repo, claim_check, submitted_at) VALUES (?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	defer insert.Close()
	for i, l := range entries {
		if l.Index != start+int64(i) {
			return fmt.Errorf("%w: entry %d where %d was expected", ErrOutOfOrder, l.Index, start+int64(i))
		}
		e := &l.Entry
		if _, err := insert.ExecContext(ctx, l.Index, e.ManifestSHA256[:], e.PackRootSHA256[:], e.SignerKeySHA256[:],
			e.Source.Repo, e.ClaimCheck, e.SubmittedAt.UnixMilli()); err != nil {
			return fmt.Errorf("index: entry %d, manifest %x: %w", l.Index, e.ManifestSHA256, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return nil
}

// Find returns the index of the entry of a manifest.
func (x *Index) Find(ctx context.Context, manifest [sha256.Size]byte) (index int64, ok bool, err error) {
	err = x.find.QueryRowContext(ctx, manifest[:]).Scan(&index)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("index: looking for manifest %x: %w", manifest, err)
	}
	return index, true, nil
}

// maxMatches bounds FindPackRoot: anybody can make many packs with one pack root.
const maxMatches = 1000

// FindPackRoot returns the indexes of the entries with a pack root, oldest first,
// at most the first thousand. More than one is the signer's equivocation: the pack
// root covers only the attestation.
func (x *Index) FindPackRoot(ctx context.Context, root [sha256.Size]byte) ([]int64, error) {
	return x.indexes(ctx, "SELECT idx FROM entry WHERE pack_root = ? ORDER BY idx LIMIT ?", root[:], maxMatches)
}

// Query selects entries, newest first; zero fields select all.
type Query struct {
	SignerKeySHA256 string // 64 lower-case hex digits
	SourceRepo      string
	ClaimCheck      string
	Since           time.Time // submitted at or after; whole milliseconds
	Before          int64     // only indexes below; zero: from the end
	Limit           int       // 1 to 100; zero: 50
}

const (
	defaultLimit = 50
	maxLimit     = 100
)

// Search returns the indexes that q selects. The last one is the Before of the next page.
func (x *Index) Search(ctx context.Context, q Query) ([]int64, error) {
	switch {
	case q.Limit < 0 || q.Limit > maxLimit:
		return nil, fmt.Errorf("index: limit %d is not between 1 and %d", q.Limit, maxLimit)
	case q.Limit == 0:
		q.Limit = defaultLimit
	}
	if q.Before < 0 {
		return nil, fmt.Errorf("index: before %d is negative", q.Before)
	}
	if q.Before == 0 {
		q.Before = math.MaxInt64
	}
	where, args := []string{"idx < ?"}, []any{q.Before}
	if q.SignerKeySHA256 != "" {
		key, err := hex.DecodeString(q.SignerKeySHA256)
		if err != nil || len(key) != sha256.Size || hex.EncodeToString(key) != q.SignerKeySHA256 {
			return nil, errors.New("index: signer key is not 64 lower-case hex digits")
		}
		where, args = append(where, "signer_key = ?"), append(args, key)
	}
	if q.SourceRepo != "" {
		where, args = append(where, "source_repo = ?"), append(args, q.SourceRepo)
	}
	if q.ClaimCheck != "" {
		where, args = append(where, "claim_check = ?"), append(args, q.ClaimCheck)
	}
	if !q.Since.IsZero() {
		where, args = append(where, "submitted_at >= ?"), append(args, q.Since.UnixMilli())
	}
	// where holds only the literals above; every value is a parameter.
	return x.indexes(ctx, "SELECT idx FROM entry WHERE "+strings.Join(where, " AND ")+" ORDER BY idx DESC LIMIT ?",
		append(args, q.Limit)...)
}

func (x *Index) indexes(ctx context.Context, query string, args ...any) ([]int64, error) {
	rows, err := x.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	defer rows.Close()
	var found []int64
	for rows.Next() {
		var i int64
		if err := rows.Scan(&i); err != nil {
			return nil, fmt.Errorf("index: %w", err)
		}
		found = append(found, i)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	return found, nil
}
