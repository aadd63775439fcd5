package pack

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/Haserjian/assay-ledger/internal/durable"
)

// A place is where a pack is put together: in memory, or in a directory that nobody reads yet.
type place interface {
	create(name string) (draft, error)
	replace(name, by string) error // by, which is sealed, takes the place of name
	open() (fs.FS, func() error, error)
}

// A draft is one file of it. What was written can be read after flush.
type draft interface {
	io.Writer
	io.ReaderAt
	flush() error
	seal() error // it is complete: make it durable, and close
	drop() error // it is not wanted: close
}

// memory is a place that keeps its files in the order of their creation.
type memory struct{ drafts []*page }

type page struct {
	name string
	bytes.Buffer
}

func (m *memory) create(name string) (draft, error) {
	p := &page{name: name}
	m.drafts = append(m.drafts, p)
	return p, nil
}

func (m *memory) replace(name, by string) error {
	kept := m.drafts[:0]
	var new *page
	for _, p := range m.drafts {
		if p.name == by {
			new = p
		} else {
			kept = append(kept, p)
		}
	}
	m.drafts = kept
	for i, p := range m.drafts {
		if p.name == name {
			new.name, m.drafts[i] = name, new
		}
	}
	return nil
}

func (m *memory) files() []NamedFile {
	list := make([]NamedFile, len(m.drafts))
	for i, p := range m.drafts {
		list[i] = NamedFile{p.name, p.Bytes()}
	}
	return list
}

func (m *memory) open() (fs.FS, func() error, error) {
	return (&Pack{Files: m.files()}).FS(), func() error { return nil }, nil
}

func (p *page) ReadAt(dst []byte, at int64) (int, error) {
	return bytes.NewReader(p.Bytes()).ReadAt(dst, at)
}
func (p *page) flush() error { return nil }
func (p *page) seal() error  { return nil }
func (p *page) drop() error  { return nil }

// directory is a place on disk.
type directory struct{ staging *durable.Staging }

type sheet struct {
	*bufio.Writer
	file    *os.File
	staging *durable.Staging
}

func (d *directory) create(name string) (draft, error) {
	f, err := d.staging.Create(name)
	if err != nil {
		return nil, err
	}
	return &sheet{bufio.NewWriterSize(f, 256<<10), f, d.staging}, nil
}

func (d *directory) replace(name, by string) error { return d.staging.Replace(name, by) }

func (d *directory) open() (fs.FS, func() error, error) { return DirFS(d.staging.Path()) }

func (s *sheet) ReadAt(dst []byte, at int64) (int, error) { return s.file.ReadAt(dst, at) }
func (s *sheet) flush() error                             { return s.Flush() }

func (s *sheet) drop() error { return s.file.Close() }

func (s *sheet) seal() error {
	if err := s.Flush(); err != nil {
		return errors.Join(err, s.file.Close())
	}
	return s.staging.Seal(s.file)
}
