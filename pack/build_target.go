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

// A target is where a pack is put together: in memory, or in a directory that nobody reads yet.
type target interface {
	create(name string) (outFile, error)
	replace(name, by string) error      // by, which is sealed, takes the place of name
	open() (fs.FS, func() error, error) // all that was sealed, for reading; the function ends that
}

// An outFile is one file of a target, which is being written. What was written can be read after flush.
type outFile interface {
	io.Writer
	io.ReaderAt
	flush() error
	seal() error // it is complete: make it durable (on disk here is its fsync), and close
	drop() error // it is not wanted: close
}

// memoryTarget keeps its files in the order of their creation.
type memoryTarget struct{ files []*memoryFile }

type memoryFile struct {
	name string
	bytes.Buffer
}

func (m *memoryTarget) create(name string) (outFile, error) {
	p := &memoryFile{name: name}
	m.files = append(m.files, p)
	return p, nil
}

func (m *memoryTarget) replace(name, by string) error {
	kept := m.files[:0]
	var new *memoryFile
	for _, p := range m.files {
		if p.name == by {
			new = p
		} else {
			kept = append(kept, p)
		}
	}
	m.files = kept
	for i, p := range m.files {
		if p.name == name {
			new.name, m.files[i] = name, new
		}
	}
	return nil
}

func (m *memoryTarget) namedFiles() []NamedFile {
	list := make([]NamedFile, len(m.files))
	for i, p := range m.files {
		list[i] = NamedFile{p.name, p.Bytes()}
	}
	return list
}

func (m *memoryTarget) open() (fs.FS, func() error, error) {
	return (&Pack{Files: m.namedFiles()}).FS(), func() error { return nil }, nil
}

func (p *memoryFile) ReadAt(dst []byte, at int64) (int, error) {
	return bytes.NewReader(p.Bytes()).ReadAt(dst, at)
}
func (p *memoryFile) flush() error { return nil }
func (p *memoryFile) seal() error  { return nil }
func (p *memoryFile) drop() error  { return nil }

// diskTarget is a directory under a name of its own, which durable.Staging gives its final one.
type diskTarget struct{ staging *durable.Staging }

// diskFile collects what is written: receipts come line by line. ReadAt sees the file, and so only what was flushed.
type diskFile struct {
	*bufio.Writer
	file    *os.File
	staging *durable.Staging
}

func (d *diskTarget) create(name string) (outFile, error) {
	f, err := d.staging.Create(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{bufio.NewWriterSize(f, 256<<10), f, d.staging}, nil
}

func (d *diskTarget) replace(name, by string) error { return d.staging.Replace(name, by) }

func (d *diskTarget) open() (fs.FS, func() error, error) { return DirFS(d.staging.Path()) }

func (s *diskFile) ReadAt(dst []byte, at int64) (int, error) { return s.file.ReadAt(dst, at) }
func (s *diskFile) flush() error                             { return s.Flush() }

func (s *diskFile) drop() error { return s.file.Close() }

func (s *diskFile) seal() error {
	if err := s.Flush(); err != nil {
		return errors.Join(err, s.file.Close())
	}
	return s.staging.Seal(s.file)
}
