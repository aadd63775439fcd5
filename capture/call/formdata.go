package call

import (
	"bytes"
	"mime"
	"slices"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// formData reads the fields of a multipart/form-data body (RFC 7578) that passes, and skips its files:
//
//	--x
//	Content-Disposition: form-data; name="model"
//
//	whisper-1
//	--x--
type formData struct {
	delimiter []byte // CR LF, two hyphens and the boundary
	rest      []byte // what passed and was not read yet: shorter than a delimiter, or of the head of a part
	at        place
	name      string // of the field; empty: a part that is skipped
	value     []byte
	told      asked
}

// place is where in a form the next byte is.
type place uint8

const (
	inPart   place = iota // or before the first one
	behind                // a delimiter
	inHead                // of a part
	ended                 // behind the last delimiter
	mistaken              // this is no form
)

const (
	maxPadding  = 64
	maxPartHead = 4 << 10
	maxField    = 1 << 10 // of a longer one nothing is told
)

// newFormData is nil if the type of a body has no boundary.
func newFormData(contentType string) *formData {
	_, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	if err != nil || boundary == "" || len(boundary) > 70 {
		return nil
	}
	// The first delimiter may stand at the very beginning.
	return &formData{delimiter: []byte("\r\n--" + boundary), rest: []byte("\r\n"), told: asked{messages: -1}}
}

// pass reads the next bytes.
func (f *formData) pass(p []byte) {
	f.rest = append(f.rest, p...)
	left := f.rest
	for more := true; more; {
		left, more = f.step(left)
	}
	f.rest = append(f.rest[:0], left...)
}

// step reads one thing and gives what is behind it. It asks for no more of a form that has ended, or of which more has to pass.
func (f *formData) step(p []byte) (left []byte, more bool) {
	switch f.at {
	case inPart:
		end := bytes.Index(p, f.delimiter)
		if end < 0 {
			looked := max(0, len(p)-len(f.delimiter)+1)
			f.keep(p[:looked])
			return p[looked:], false
		}
		f.keep(p[:end])
		f.field()
		f.at = behind
		return p[end+len(f.delimiter):], true
	case behind:
		line := bytes.TrimLeft(p, " \t") // which senders may put there (RFC 2046)
		switch {
		case len(p)-len(line) > maxPadding:
			f.at = mistaken
		case len(line) < 2:
			return p, false
		case bytes.HasPrefix(line, []byte("\r\n")):
			f.at = inHead
			return line, true
		case bytes.HasPrefix(line, []byte("--")):
			f.at = ended
		default:
			f.at = mistaken
		}
	case inHead: // with the CR LF in front of it: a head may be empty
		end := bytes.Index(p, []byte("\r\n\r\n"))
		if 0 <= end && end <= maxPartHead {
			f.name = fieldName(string(p[:end]))
			f.at = inPart
			return p[end+4:], true
		} else if end < 0 && len(p) < maxPartHead+4 {
			return p, false
		}
		f.at = mistaken
	}
	return nil, false
}

// keep takes a piece of the value of a field, unless that is too long.
func (f *formData) keep(p []byte) {
	if f.name != "" && len(f.value) <= maxField {
		f.value = append(f.value, p[:min(len(p), maxField+1)]...)
	}
}

// field ends a field.
func (f *formData) field() {
	name, value := f.name, string(f.value)
	f.name, f.value = "", f.value[:0]
	known := slices.ContainsFunc(f.told.params, func(m jcs.Member) bool { return m.Name == name })
	switch v := jcs.Str(value); {
	case len(value) > maxField:
	case name == "model" && f.told.model == "" && len(value) <= maxName:
		f.told.model = value
	case parameters[name] && !known && plainValue(v):
		f.told.params = append(f.told.params, jcs.M(name, v))
	}
}

// fieldName is the name of the field that a part with this head holds; empty if it is a file.
func fieldName(head string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(strings.TrimSpace(name), "Content-Disposition") {
			continue
		}
		if disposition, params, err := mime.ParseMediaType(value); err == nil && disposition == "form-data" && params["filename"] == "" {
			return params["name"]
		}
		return ""
	}
	return ""
}
