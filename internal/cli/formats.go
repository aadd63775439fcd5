package cli

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/Haserjian/assay-ledger/internal/durable"
	"github.com/Haserjian/assay-ledger/internal/terminal"
)

// ReadAs reads a file that says whom or what to trust, such as roots or a policy, with the parser of its
// format, which takes all of it or none. What the parser refuses is bad input that names the file.
func ReadAs[T any](path string, limit int64, hint string, parse func(text []byte) (T, error)) (parsed T, err error) {
	text, err := ReadFile(path, limit)
	if err != nil {
		return parsed, err
	}
	if parsed, err = parse(text); err != nil {
		return parsed, BadInput(hint, "%s: %w", path, err)
	}
	return parsed, nil
}

// formats are those that people give in place of the right one, by their first bytes.
var formats = []struct{ start, name string }{
	{"PK\x03\x04", "a zip archive: unpack it first"},
	{"\x1f\x8b", "gzip, as of a .tar.gz: unpack it first"},
	{"BZh", "bzip2: unpack it first"},
	{"\xfd7zXZ\x00", "xz: unpack it first"},
	{"\x28\xb5\x2f\xfd", "zstd: unpack it first"},
	{"%PDF-", "a PDF"},
	{"\x7fELF", "a program"},
	{"MZ", "a program"},
	{"SQLite format 3\x00", "a SQLite database"},
	{"\xef\xbb\xbf", "text behind a byte order mark: save it as UTF-8 without one"},
	{"\xff\xfe", "UTF-16: save it as UTF-8"},
	{"\xfe\xff", "UTF-16: save it as UTF-8"},
}

// formatOfFile says what the file looks like, if it is there and looks like something; "" if not.
func formatOfFile(path string) string {
	f, err := durable.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	start := make([]byte, 64<<10) // DER tells its length
	n, _ := io.ReadFull(f, start)
	if looks := LooksLike(start[:n]); looks != "" {
		return path + " looks like " + looks
	}
	return ""
}

// HintFormat says on stderr what a refused file looks like, where the refusal itself is no error.
func (s Streams) HintFormat(path string) {
	if looks := formatOfFile(path); looks != "" {
		fmt.Fprintf(s.Err, "hint: %s\n", terminal.Safe(looks))
	}
}

// lookAtInputs looks at the files that the command was given and that the error names.
func lookAtInputs(ran *cobra.Command, text string) (looks string) {
	look := func(path string) {
		path = strings.TrimPrefix(path, "@")
		if looks == "" && path != "" && strings.Contains(text, path) {
			looks = formatOfFile(path)
		}
	}
	ran.Flags().Visit(func(f *pflag.Flag) {
		for _, value := range valuesOf(f) {
			look(value)
		}
	})
	args := ran.Flags().Args()
	if dash := ran.Flags().ArgsLenAtDash(); dash >= 0 {
		args = args[:dash] // what follows is another program's
	}
	for _, arg := range args {
		look(arg)
	}
	return looks
}

// LooksLike says what bytes seem to be, when that is plain and seldom what was asked for: "a zip archive:
// unpack it first". It is empty for any other text, and decides nothing.
func LooksLike(data []byte) string {
	for _, f := range formats {
		if bytes.HasPrefix(data, []byte(f.start)) {
			return f.name
		}
	}
	start := strings.ToLower(string(bytes.TrimSpace(data[:min(len(data), 512)])))
	switch {
	case len(data) > 262 && string(data[257:262]) == "ustar":
		return "a tar archive: unpack it first"
	case looksLikeDER(data):
		return "DER, the binary form of certificates and keys; for a certificate: openssl x509 -inform der -in FILE -out FILE.pem"
	case strings.HasPrefix(start, "<!doctype html"), strings.HasPrefix(start, "<html"):
		return "a web page: was it downloaded from the right address?"
	case strings.HasPrefix(start, "<?xml"):
		return "XML"
	case bytes.IndexByte(data[:min(len(data), 512)], 0) >= 0:
		return "binary data"
	}
	return ""
}

// looksLikeDER: one SEQUENCE whose length, in two or three bytes, is that of the data.
func looksLikeDER(data []byte) bool {
	if len(data) < 4 || data[0] != 0x30 {
		return false
	}
	switch data[1] {
	case 0x81:
		return int(data[2])+3 == len(data)
	case 0x82:
		return int(data[2])<<8+int(data[3])+4 == len(data)
	}
	return false
}
