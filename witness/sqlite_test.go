package witness

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

func openAt(t *testing.T, path string) *SQLite {
	t.Helper()
	s, err := OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func execAt(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// held stops the writer inside of a transaction until release is called, so that what comes
// meanwhile waits together.
func held(t *testing.T, s *SQLite) (release func() error) {
	t.Helper()
	entered, let, done := make(chan bool), make(chan bool), make(chan error, 1)
	go func() {
		done <- s.change(context.Background(), func(*SQLite) error { close(entered); <-let; return ErrConflict })
	}()
	<-entered
	return func() error { close(let); return <-done }
}

// queue starts changes and returns when all of them wait for the writer.
func queue(s *SQLite, changes ...func() error) (answers []error, wait func()) {
	answers = make([]error, len(changes))
	var wg sync.WaitGroup
	for i, change := range changes {
		wg.Go(func() { answers[i] = change() })
		for len(s.jobs) <= i {
			runtime.Gosched() // nothing tells when a channel has taken something
		}
	}
	return answers, wg.Wait
}

// WIT-22
func TestASwapThatAnsweredNilIsThereAfterClose(t *testing.T) {
	dir := t.TempDir()
	refused := 0
	for round := range 20 { // at Close the writer may take what waits or not; the answer says which
		path := filepath.Join(dir, fmt.Sprint(round))
		s := openAt(t, path)
		release := held(t, s)
		swap := func(origin string) func() error {
			return func() error { return s.Swap(context.Background(), origin, nil, []byte("note")) }
		}
		answers, wait := queue(s, swap("0"), swap("1"), swap("2"))
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		<-s.quit
		release()
		wait()
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		again := openAt(t, path)
		for i, answer := range answers {
			note, err := again.Latest(t.Context(), fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			if answer == nil && string(note) != "note" {
				t.Errorf("round %d: swap %d answered nil and is lost", round, i)
			}
			if answer != nil {
				refused++
				if !errors.Is(answer, errClosed) || note != nil {
					t.Errorf("round %d: swap %d answered %v, stored is %q", round, i, answer, note)
				}
			}
		}
	}
	t.Logf("%d of 60 were refused", refused)
}

func TestAFailureInAGroupIsTheAnswerOfEachAndUndoesAll(t *testing.T) {
	failure := errors.New("the disk is on fire")
	for name, fails := range map[string]func(*SQLite) error{
		"an error": func(*SQLite) error { return failure },
		"a panic":  func(*SQLite) error { panic("the disk is on fire") },
		"an SQL error": func(s *SQLite) error {
			_, err := s.conn.ExecContext(context.Background(), "INSERT INTO the_disk_is_on_fire VALUES (1)")
			return err
		},
		"a statement that breaks a rule of the table": func(s *SQLite) error {
			return changedOne(s.insertFirst.Exec("log", []byte{})) // CHECK (length(note) > 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := openAt(t, filepath.Join(t.TempDir(), "witness.db"))
			release := held(t, s)
			swap := func(origin string) func() error {
				return func() error { return s.Swap(context.Background(), origin, nil, []byte("note")) }
			}
			answers, wait := queue(s, swap("before"), func() error { return s.change(context.Background(), fails) }, swap("after"))
			if err := release(); !errors.Is(err, ErrConflict) {
				t.Errorf("the group before: %v", err)
			}
			wait()
			for i, err := range answers {
				if err == nil || errors.Is(err, ErrConflict) {
					t.Errorf("change %d of the group: %v", i, err)
				} else if (name == "an error" || name == "a panic") && !strings.Contains(err.Error(), "on fire") {
					t.Errorf("change %d of the group does not say why: %v", i, err)
				}
			}
			if origins, err := s.Origins(t.Context()); err != nil || len(origins) != 0 {
				t.Errorf("stored all the same: %q, %v", origins, err)
			}
			if err := swap("later")(); err != nil {
				t.Errorf("a later swap: %v", err)
			}
			if note, err := s.Latest(t.Context(), "later"); err != nil || string(note) != "note" {
				t.Errorf("a later swap stored %q, %v", note, err)
			}
		})
	}
}

// Who gave up before the group began gets nothing stored; the others do.
func TestAChangeThatNobodyWaitsForIsLeftOut(t *testing.T) {
	s := openAt(t, filepath.Join(t.TempDir(), "witness.db"))
	release := held(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	answers, wait := queue(s,
		func() error { return s.Swap(ctx, "gone", nil, []byte("note")) },
		func() error { return s.Swap(context.Background(), "here", nil, []byte("note")) })
	cancel()
	release()
	wait()
	if !errors.Is(answers[0], context.Canceled) || answers[1] != nil {
		t.Errorf("answers %v", answers)
	}
	if origins, err := s.Origins(t.Context()); err != nil || fmt.Sprint(origins) != "[here]" {
		t.Errorf("stored %q, %v", origins, err)
	}
}

// storeWithIndex is the closed store of three logs, and where in the file the index of its rows is.
func storeWithIndex(t *testing.T) (path string, index, page int64) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "witness.db")
	s := openAt(t, path)
	for i := range 3 {
		if err := s.Swap(t.Context(), fmt.Sprintf("log.example/%d", i), nil, []byte("note")); err != nil {
			t.Fatal(err)
		}
	}
	row := s.read.QueryRow(`SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'checkpoint'`)
	if err := row.Scan(&index, &page); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // also moves the write-ahead log into the file
		t.Fatal(err)
	}
	return path, (index - 1) * page, page
}

// damage are ways in which an index stops finding log.example/1.
var damage = map[string]func(page []byte){
	"an index of no rows": func(page []byte) {
		size := len(page)
		clear(page)
		copy(page, []byte{10, 0, 0, 0, 0, byte(size >> 8), byte(size)}) // a leaf of no cells
	},
	"a flipped bit in the index": func(page []byte) {
		page[bytes.Index(page, []byte("log.example/1"))+12] ^= 2 // log.example/3
	},
}

func damageFile(t *testing.T, path string, at, size int64, how func(page []byte)) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	page := make([]byte, size)
	if _, err := f.ReadAt(page, at); err != nil {
		t.Fatal(err)
	}
	how(page)
	if _, err := f.WriteAt(page, at); err != nil {
		t.Fatal(err)
	}
}

// A row that is not found means a log that was never cosigned, and so any history of it would be
// cosigned: what finds rows is checked before it is believed.
// WIT-24
func TestAStoreWithADamagedIndexDoesNotOpen(t *testing.T) {
	for name, how := range damage {
		path, at, size := storeWithIndex(t)
		damageFile(t, path, at, size, how)
		if s, err := OpenSQLite(path); err == nil {
			note, err := s.Latest(t.Context(), "log.example/1")
			s.Close()
			t.Errorf("%s: the store opens; the log's checkpoint is %q, %v", name, note, err)
		} else if !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// WIT-24
func TestAnIndexThatIsDamagedLaterForgetsNoCheckpoint(t *testing.T) {
	for name, how := range damage {
		path, at, size := storeWithIndex(t)
		s := openAt(t, path)
		damageFile(t, path, at, size, how)
		if note, err := s.Latest(t.Context(), "log.example/1"); err == nil && string(note) != "note" {
			t.Errorf("%s: the log's checkpoint is %q", name, note)
		}
		// What another process writes lets the writer, too, read the damaged page again.
		execAt(t, path, "INSERT INTO checkpoint (origin, note) VALUES ('log.example/5', x'6e6f7465')")
		if err := s.Swap(t.Context(), "log.example/1", nil, []byte("another history")); err == nil {
			t.Errorf("%s: the log was taken for a new one", name)
		}
		if err := s.Swap(t.Context(), "log.example/6", nil, []byte("note")); err != nil {
			t.Errorf("%s: a new log: %v", name, err)
		}
		if note, err := s.Latest(t.Context(), "log.example/9"); err != nil || note != nil {
			t.Errorf("%s: a log that is not there: %q, %v", name, note, err)
		}
	}
}

func TestSQLiteLeavesFilesOfOtherProgramsAsTheyAre(t *testing.T) {
	for name, statements := range map[string][]string{
		"an application ID and no table":  {"PRAGMA application_id = 7"},
		"a version and no table":          {"PRAGMA user_version = 1"},
		"both, the ID not ours":           {"PRAGMA application_id = 7", "PRAGMA user_version = 1"},
		"our ID and no version":           {fmt.Sprintf("PRAGMA application_id = %d", applicationID)},
		"our ID and a later version":      {fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA user_version = 2"},
		"a table":                         {"CREATE TABLE other (x)"},
		"a table and our version":         {"CREATE TABLE other (x)", "PRAGMA user_version = 1"},
		"our ID and version and no table": {fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA user_version = 1"},
	} {
		path := filepath.Join(t.TempDir(), "other.db")
		execAt(t, path, statements...)
		if s, err := OpenSQLite(path); err == nil {
			s.Close()
			t.Errorf("%s: opened", name)
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		var ours int
		if err := db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name IN ('checkpoint', 'evidence')").Scan(&ours); err != nil || ours != 0 {
			t.Errorf("%s: %d tables of ours in it, %v", name, ours, err)
		}
		db.Close()
	}
}

// A commit is on disk when it is answered only with both settings, and a driver may pass over what it is told.
func TestAStoreWithoutItsDurabilityIsNotOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "witness.db")
	for dsn, got := range map[string]string{
		":memory:": "got memory and 2",
		path + "?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)": "got wal and 1",
		path + "2?_pragma=synchronous(FULL)":                            "got delete and 2",
	} {
		db, err := sql.Open("sqlite", dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		s := &SQLite{write: db}
		if s.conn, err = db.Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer s.conn.Close()
		if err := s.prepare(t.Context()); err == nil || !strings.Contains(err.Error(), got) {
			t.Errorf("%s: %v, want %s", dsn, err, got)
		}
	}
}

// unclosable is a database of which nothing can be closed; each error says what.
type unclosable struct{ what string }

func (u unclosable) Connect(context.Context) (driver.Conn, error) { return u, nil }
func (u unclosable) Driver() driver.Driver                        { return nil }
func (u unclosable) Prepare(query string) (driver.Stmt, error)    { return unclosable{query}, nil }
func (u unclosable) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (u unclosable) NumInput() int                                { return 0 }
func (u unclosable) Exec([]driver.Value) (driver.Result, error)   { return nil, driver.ErrSkip }
func (u unclosable) Query([]driver.Value) (driver.Rows, error)    { return nil, driver.ErrSkip }
func (u unclosable) Close() error                                 { return errors.New("cannot close " + u.what) }

// SQLite writes its file when it is closed, too: whoever closes a store hears of all that failed.
func TestWhatCannotBeClosedIsSaid(t *testing.T) {
	s := &SQLite{quit: make(chan struct{}), stopped: make(chan struct{}), write: sql.OpenDB(unclosable{"writer"}), read: sql.OpenDB(unclosable{"reader"})}
	var err error
	if s.conn, err = s.write.Conn(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, stmt := range map[string]**sql.Stmt{"update": &s.replaceNote, "insert": &s.insertFirst, "evidence": &s.insertEvidence} {
		if *stmt, err = s.conn.PrepareContext(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	close(s.stopped)
	err = s.Close()
	for _, want := range []string{"update", "insert", "evidence", "reader", "writer"} {
		if err == nil || !strings.Contains(err.Error(), "cannot close "+want) {
			t.Errorf("the error does not say %s: %v", want, err)
		}
	}
	if again := s.Close(); again == nil || again.Error() != err.Error() {
		t.Errorf("closed again: %v", again)
	}
	s = openAt(t, filepath.Join(t.TempDir(), "witness.db"))
	s.conn.Close()
	if err := s.Close(); !errors.Is(err, sql.ErrConnDone) {
		t.Errorf("a connection that is closed already: %v", err)
	}
}
