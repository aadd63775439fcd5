package witness

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"modernc.org/sqlite" // also the database/sql driver "sqlite"
)

// SQLite is a Store in one file. One goroutine owns the one connection that
// writes; swaps that wait together are committed together, with one fsync,
// and judged one by one. Readers have connections of their own.
type SQLite struct {
	read, write    *sql.DB
	conn           *sql.Conn // owned by run
	replaceNote    *sql.Stmt // prepared on conn, as the next two
	insertFirst    *sql.Stmt
	insertEvidence *sql.Stmt

	jobs     chan *storeJob
	quit     chan struct{} // closed by Close: take no more jobs
	stopped  chan struct{} // closed by run: no job will be answered any more
	closing  sync.Once
	closeErr error
}

// storeJob is one change that waits for its turn in a transaction.
type storeJob struct {
	ctx  context.Context
	do   func(s *SQLite) error // runs in the transaction; ErrConflict means: changed nothing
	err  error                 // do's answer, valid after done
	done chan error            // gets err after the commit; buffered
}

// maxGroup bounds the swaps of one transaction.
const maxGroup = 64

// busyTimeout is how long one process waits for another that has the file.
const busyTimeout = 5 * time.Second

// sqliteBusy is SQLITE_BUSY, the low byte of every code for "another process has it".
const sqliteBusy = 5

const (
	applicationID = 0x41577431 // "AWt1", in the file's header
	schemaVersion = 1
)

const schema = `
CREATE TABLE checkpoint (
	origin TEXT PRIMARY KEY NOT NULL,
	note   BLOB NOT NULL CHECK (length(note) > 0)
) STRICT;
CREATE TABLE evidence (
	id        INTEGER PRIMARY KEY,
	origin    TEXT NOT NULL,
	kind      TEXT NOT NULL,
	theirs_id BLOB NOT NULL,
	ours      BLOB NOT NULL,
	theirs    BLOB NOT NULL,
	seen      INTEGER NOT NULL,
	UNIQUE (origin, kind, theirs_id)
) STRICT;`

var errClosed = errors.New("the witness store is closed")

// OpenSQLite opens the store at path, or creates it with mode 0600. It refuses
// a file that is damaged or that another program made.
func OpenSQLite(path string) (*SQLite, error) {
	// SQLite waits for other processes, except where several give one file its journal: it answers "busy" at once.
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		s, err := openSQLite(path)
		if err == nil {
			return s, nil
		}
		if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == sqliteBusy && time.Since(began) < busyTimeout {
			continue
		}
		return nil, fmt.Errorf("opening witness store %s: %w", path, err)
	}
}

func openSQLite(path string) (_ *SQLite, err error) {
	if err := createFile(path); err != nil {
		return nil, err
	}
	dsn, err := dataSource(path)
	if err != nil {
		return nil, err
	}
	s := &SQLite{jobs: make(chan *storeJob, maxGroup), quit: make(chan struct{}), stopped: make(chan struct{})}
	defer func() {
		if err != nil {
			s.closeFiles()
		}
	}()
	if s.write, err = sql.Open("sqlite", dsn+"&_txlock=immediate"); err != nil {
		return nil, err
	}
	s.write.SetMaxOpenConns(1)
	ctx := context.Background()
	if s.conn, err = s.write.Conn(ctx); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	if s.read, err = sql.Open("sqlite", dsn+"&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	s.read.SetMaxOpenConns(runtime.GOMAXPROCS(0))
	s.read.SetMaxIdleConns(runtime.GOMAXPROCS(0))
	go s.run() // Close waits for it
	return s, nil
}

// createFile makes sure that the file is ours alone and that its name survives
// a power cut: a witness that finds no store would start again from size 0.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		info, err := os.Lstat(path)
		if err == nil && !info.Mode().IsRegular() {
			err = errors.New("not a regular file")
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func dataSource(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}
	return u.String() + fmt.Sprintf("?_pragma=busy_timeout(%d)", busyTimeout.Milliseconds()) + "&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)", nil
}

// prepare checks the file, makes the tables of a new one, and prepares what run executes.
func (s *SQLite) prepare(ctx context.Context) error {
	pragma := func(name string) (value string) {
		if err := s.conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value); err != nil {
			return err.Error()
		}
		return value
	}
	// WIT-22: a commit is an fsync of the journal. The promise of this store hangs on these two; a driver that ignores them must not go unnoticed.
	if mode, sync := pragma("journal_mode"), pragma("synchronous"); mode != "wal" || sync != "2" {
		return fmt.Errorf("wants journal_mode wal and synchronous 2, got %s and %s", mode, sync)
	}
	// Not quick_check, which does not compare an index with its table: a row that the index does not
	// find would be a log that was never cosigned.
	if check := pragma("integrity_check"); check != "ok" {
		return fmt.Errorf("the file is damaged: %s", check)
	}
	if err := s.createSchema(ctx); err != nil {
		return err
	}
	for stmt, text := range map[**sql.Stmt]string{
		&s.replaceNote:    `UPDATE checkpoint SET note = ?3 WHERE origin = ?1 AND note = ?2`,
		&s.insertFirst:    `INSERT INTO checkpoint (origin, note) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM checkpoint NOT INDEXED WHERE origin = ?1) ON CONFLICT DO NOTHING`,
		&s.insertEvidence: `INSERT INTO evidence (origin, kind, theirs_id, ours, theirs, seen) SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM evidence WHERE origin = ?1 AND kind = ?2) < ?7 ON CONFLICT DO NOTHING`,
	} {
		var err error
		if *stmt, err = s.conn.PrepareContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// createSchema runs in an IMMEDIATE transaction, so that two processes cannot both find the file empty.
func (s *SQLite) createSchema(ctx context.Context) error {
	tx, err := s.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var app, version, tables int
	row := tx.QueryRow(`SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)`)
	if err := row.Scan(&app, &version, &tables); err != nil {
		return err
	}
	switch {
	case app == applicationID && version == schemaVersion:
		return nil
	case app != 0 || version != 0 || tables != 0:
		return fmt.Errorf("not a witness store of version %d (application_id %#x, user_version %d)", schemaVersion, app, version)
	}
	_, err = tx.Exec(schema + fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d;", applicationID, schemaVersion))
	if err != nil {
		return err
	}
	return tx.Commit()
}

// Latest returns the stored note, nil if there is none. A hit is read back and its signatures are
// verified by whoever asks; a miss would be believed, so it is looked for once more without the index.
func (s *SQLite) Latest(ctx context.Context, origin string) (note []byte, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT note FROM checkpoint WHERE origin = ?1`, origin).Scan(&note)
	if !errors.Is(err, sql.ErrNoRows) {
		return note, err
	}
	// Both looks are one statement, so they see one state of the file: between two, another request may store the first note.
	var rows int
	err = s.read.QueryRowContext(ctx, `SELECT (SELECT note FROM checkpoint WHERE origin = ?1), (SELECT count(*) FROM checkpoint NOT INDEXED WHERE origin = ?1)`, origin).Scan(&note, &rows)
	if err == nil && note == nil && rows != 0 {
		err = errors.New("the file is damaged: its index does not find a checkpoint that is there")
	}
	return note, err
}

// Swap replaces old, nil for none, by new, if old is byte for byte what is
// stored. It returns after the commit is on disk.
func (s *SQLite) Swap(ctx context.Context, origin string, old, new []byte) error {
	if len(new) == 0 {
		return errEmptyNote
	}
	return s.change(ctx, func(s *SQLite) error {
		if old == nil {
			return changedOne(s.insertFirst.Exec(origin, new))
		}
		return changedOne(s.replaceNote.Exec(origin, old, new))
	})
}

// changedOne says ErrConflict for a statement whose condition did not hold.
func changedOne(r sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err == nil && n != 1 {
		return ErrConflict
	}
	return err
}

// Origins returns every origin that has a note, sorted.
func (s *SQLite) Origins(ctx context.Context) (origins []string, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT origin FROM checkpoint ORDER BY origin`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var origin string
		if err := rows.Scan(&origin); err != nil {
			return nil, err
		}
		origins = append(origins, origin)
	}
	return origins, rows.Err()
}

// KeepEvidence reports whether e is new and there was room for it.
func (s *SQLite) KeepEvidence(ctx context.Context, e Evidence) (bool, error) {
	id := sha256.Sum256(e.Theirs)
	err := s.change(ctx, func(s *SQLite) error {
		return changedOne(s.insertEvidence.Exec(e.Origin, string(e.Kind), id[:], e.Ours, e.Theirs, e.Seen.Unix(), maxEvidence))
	})
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Evidence returns what is kept about an origin, oldest first. Seen is in whole seconds.
func (s *SQLite) Evidence(ctx context.Context, origin string) (kept []Evidence, err error) {
	rows, err := s.read.QueryContext(ctx, `SELECT kind, ours, theirs, seen FROM evidence WHERE origin = ?1 ORDER BY id`, origin)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		e := Evidence{Origin: origin}
		var seen int64
		if err := rows.Scan(&e.Kind, &e.Ours, &e.Theirs, &seen); err != nil {
			return nil, err
		}
		e.Seen = time.Unix(seen, 0)
		kept = append(kept, e)
	}
	return kept, rows.Err()
}

// change hands a job to run and waits for its commit.
func (s *SQLite) change(ctx context.Context, do func(*SQLite) error) error {
	j := &storeJob{ctx: ctx, do: do, done: make(chan error, 1)}
	select {
	case s.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.quit:
		return errClosed
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err() // run may still commit it: the caller cannot know, and reads again
	case <-s.stopped:
		select { // it may have been answered just before the end
		case err := <-j.done:
			return err
		default:
			return errClosed
		}
	}
}

// run owns conn. It ends when quit is closed; what waits then is not done.
func (s *SQLite) run() {
	defer close(s.stopped)
	for {
		select {
		case <-s.quit:
			return
		case first := <-s.jobs:
			group := s.gather(first)
			err := s.commit(group)
			for _, j := range group {
				if err != nil {
					j.err = err
				}
				j.done <- j.err
			}
		}
	}
}

// gather takes what already waits, and waits for nothing.
func (s *SQLite) gather(first *storeJob) []*storeJob {
	group := []*storeJob{first}
	for len(group) < maxGroup {
		select {
		case j := <-s.jobs:
			group = append(group, j)
		default:
			return group
		}
	}
	return group
}

// commit runs the group in one transaction. An error of one statement other
// than a lost comparison is the disk's or ours, and undoes the whole group.
func (s *SQLite) commit(group []*storeJob) (err error) {
	defer func() { // a panic here would end the process, and with it every request
		if p := recover(); p != nil {
			err = fmt.Errorf("writing to the witness store panicked: %v", p)
		}
	}()
	tx, err := s.conn.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	changed := false
	for _, j := range group {
		if j.err = j.ctx.Err(); j.err != nil {
			continue // nobody waits any more
		}
		j.err = j.do(s) // the statements are prepared on conn, so they are part of tx
		if j.err != nil && !errors.Is(j.err, ErrConflict) {
			return j.err
		}
		changed = changed || j.err == nil
	}
	if !changed {
		return nil
	}
	return tx.Commit()
}

// Close waits for the transaction that is under way; changes still queued get an error.
func (s *SQLite) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		<-s.stopped
		s.closeErr = s.closeFiles()
	})
	return s.closeErr
}

func (s *SQLite) closeFiles() (err error) {
	for _, stmt := range []*sql.Stmt{s.replaceNote, s.insertFirst, s.insertEvidence} {
		if stmt != nil {
			err = errors.Join(err, stmt.Close())
		}
	}
	if s.conn != nil {
		err = errors.Join(err, s.conn.Close())
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}
