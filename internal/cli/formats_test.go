package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesOfAnotherFormatAreNamed(t *testing.T) {
	var archive, zipped bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "policy", Size: 2}), w.Close()); err == nil {
		t.Fatal("a tar of nothing")
	}
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(archive.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for want, data := range map[string]string{
		"a zip archive": "PK\x03\x04\x14\x00", "gzip": zipped.String(), "a tar archive": archive.String(), "DER": "\x30\x82\x00\x02\x05\x00",
		"a web page": " \n<!doctype HTML><p>", "UTF-16": "\xff\xfel\x00o\x00g\x00",
		"text behind a byte order mark": "\ufefflog x\n", "binary data": "log\x00", "a program": "\x7fELF\x02", "a PDF": "%PDF-1.7", "XML": "<?xml version",
	} {
		if got := LooksLike([]byte(data)); !strings.HasPrefix(got, want) {
			t.Errorf("%q looks like %q, want %q", data[:min(len(data), 20)], got, want)
		}
	}
	for _, text := range []string{"", "log a+1+b\n", "{\"a\":1}", "\x30\x81\x09ab", "0", "-----BEGIN CERTIFICATE-----\n"} {
		if got := LooksLike([]byte(text)); got != "" {
			t.Errorf("%q looks like %q", text, got)
		}
	}
}

func TestAFileThatIsNotItsFormatIsBadInputThatNamesIt(t *testing.T) {
	refuse := func(text []byte) (int, error) {
		if string(text) != "7" {
			return 1, errors.New("no seven")
		}
		return 7, nil
	}
	path := filepath.Join(t.TempDir(), "number")
	for text, hint := range map[string]string{"7": "", "8": "write 7", "PK\x03\x04": "write 7"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := ReadAs(path, 10, "write 7", refuse)
		var told *Error
		if ok := errors.As(err, &told); ok != (text != "7") || !ok && n != 7 ||
			ok && (told.Code != ExitBadInput || told.Hint != hint || told.Error() != path+": no seven") {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	if _, err := ReadAs(filepath.Dir(path), 10, "", refuse); err == nil || !strings.Contains(err.Error(), "is a directory, want a file") {
		t.Errorf("a directory: %v", err)
	}
}
