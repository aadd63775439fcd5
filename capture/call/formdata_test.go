package call

import (
	"bytes"
	"fmt"
	mime "mime/multipart"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// form is a body as the standard library writes it.
func formOf(t testing.TB, write func(w *mime.Writer)) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := mime.NewWriter(&b)
	write(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

// sent is what is recorded of a form in pieces of that size.
func sent(contentType string, body []byte, size int) jcs.Value {
	c := Begin(Find("openai", "POST", "/v1/images/edits"), RequestHead{Header: map[string][]string{"Content-Type": {contentType}}}, NewBudget(0))
	for i := 0; i < len(body); i += size {
		c.Request(body[i:min(len(body), i+size)])
	}
	c.RequestEnd(true)
	c.End(ConnectFailed)
	return recorded(c)
}

func TestTheFieldsOfAFormTellTheModel(t *testing.T) {
	contentType, body := formOf(t, func(w *mime.Writer) {
		w.WriteField("empty", "")
		file, _ := w.CreateFormFile("size", "CANARY.png")
		file.Write(bytes.Repeat([]byte("\r\n--CANARY\r\n\r\n--"), 300))
		w.WriteField("prompt", "CANARY\r\n\r\nlines")
		w.WriteField("n", strings.Repeat("9", 5000))
		w.WriteField("model", "gpt-image-1")
		w.WriteField("model", "another")
		w.WriteField("quality", "high")
		w.WriteField("temperature", "0")
	})
	for size := 1; size <= len(body); size++ {
		if size > 200 {
			size = len(body)
		}
		v := sent(contentType, body, size)
		params, _ := jcs.AppendPack(nil, at(v, "params"))
		if text(v, "model_id") != "gpt-image-1" || string(params) != `{"quality":"high","temperature":"0"}` || at(v, "unparsed").Kind != jcs.Null || text(v, "prompt_hash") != "" ||
			text(v, "request_body_sha256") != hashOf(body) || strings.Contains(string(pretty(t, v.Members)), "CANARY") {
			t.Fatalf("in pieces of %d: recorded is\n%s", size, pretty(t, v.Members))
		}
	}
}

func TestWhatIsNoFormIsSaidToBeUnparsed(t *testing.T) {
	const head = "Content-Disposition: form-data; name=\"model\"\r\n\r\n"
	for name, test := range map[string]struct{ contentType, body, model string }{
		"much padding":              {"multipart/form-data; boundary=b", "--b" + strings.Repeat(" ", maxPadding) + "\r\n" + head + "m\r\n--b--", "m"},
		"more padding":              {"multipart/form-data; boundary=b", "--b" + strings.Repeat(" ", maxPadding+1) + "\r\n" + head + "m\r\n--b--", ""},
		"a preamble and padding":    {"multipart/form-data; boundary=b", "hello\r\n--b \t\r\n" + head + "m\r\n--b--\r\nbye", "m"},
		"a quoted boundary":         {`multipart/form-data; boundary="a b"`, "--a b\r\n" + head + "m\r\n--a b--", "m"},
		"a part without a head":     {"multipart/form-data; boundary=b", "--b\r\n\r\nx\r\n--b\r\n" + head + "m\r\n--b--", "m"},
		"no boundary":               {"multipart/form-data", "--b\r\n" + head + "m\r\n--b--", ""},
		"the longest boundary":      {"multipart/form-data; boundary=" + strings.Repeat("b", 70), "--" + strings.Repeat("b", 70) + "\r\n" + head + "m\r\n--" + strings.Repeat("b", 70) + "--", "m"},
		"a boundary that is long":   {"multipart/form-data; boundary=" + strings.Repeat("b", 71), "--" + strings.Repeat("b", 71) + "--", ""},
		"empty":                     {"multipart/form-data; boundary=b", "", ""},
		"no last delimiter":         {"multipart/form-data; boundary=b", "--b\r\n" + head + "m\r\n--b\r\n", ""},
		"cut in the last delimiter": {"multipart/form-data; boundary=b", "--b\r\n" + head + "m\r\n--b-", ""},
		"an endless head":           {"multipart/form-data; boundary=b", "--b\r\nx: " + strings.Repeat("x", 2*maxPartHead) + "\r\n\r\n\r\n--b--", ""},
		"endless padding":           {"multipart/form-data; boundary=b", "--b" + strings.Repeat(" ", 2*maxPartHead) + "\r\n" + head + "m\r\n--b--", ""},
		"something behind it":       {"multipart/form-data; boundary=b", "--bx\r\n" + head + "m\r\n--b--", ""},
		"another disposition":       {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: attachment; name=model\r\n\r\nm\r\n--b--", "-"},
		"line feeds alone":          {"multipart/form-data; boundary=b", "--b\n" + head + "m\n--b--", ""},
	} {
		v := sent(test.contentType, []byte(test.body), 5)
		model := strings.Trim(test.model, "-")
		if (text(at(v, "unparsed"), "request") == "multipart") != (test.model == "") || text(v, "model_id") != model {
			t.Errorf("%s: recorded is\n%s", name, pretty(t, v.Members))
		}
	}
}

func TestAFormThatIsEncodedIsHashedOnly(t *testing.T) {
	c := Begin(Find("", "POST", "/v1/images/edits"), RequestHead{Header: map[string][]string{"Content-Type": {"multipart/form-data; boundary=b"}, "Content-Encoding": {"gzip"}}}, NewBudget(0))
	c.RequestEnd(true)
	if got := text(at(recorded(c), "unparsed"), "request"); got != "encoding" {
		t.Errorf("unparsed: %q", got)
	}
}

// However many parts a form has, and however long they are, it is read in the memory of a few lines.
func TestALongFormIsReadInLittleMemory(t *testing.T) {
	f := newFormData("multipart/form-data; boundary=b")
	for i := range 2000 {
		f.pass(fmt.Appendf(nil, "\r\n--b\r\nContent-Disposition: form-data; name=\"p%d\"\r\n\r\n%s", i, bytes.Repeat([]byte("x\r\n-"), 1<<(i%14))))
		if cap(f.rest) > 256<<10 || len(f.rest) > maxPartHead+3 || len(f.value) > 2*maxField+2 {
			t.Fatalf("%d bytes of %d, and a value of %d", len(f.rest), cap(f.rest), len(f.value))
		}
	}
}

func FuzzForm(f *testing.F) {
	contentType, body := formOf(f, func(w *mime.Writer) {
		w.WriteField("model", "m")
		file, _ := w.CreateFormFile("file", "x")
		file.Write([]byte("\r\n--"))
	})
	f.Add(contentType, body, uint8(3))
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--b--"), uint8(1))
	f.Fuzz(func(t *testing.T, contentType string, body []byte, size uint8) {
		whole := pretty(t, sent(contentType, body, len(body)+1).Members)
		if pieces := pretty(t, sent(contentType, body, int(size)+1).Members); !bytes.Equal(pieces, whole) {
			t.Errorf("in pieces of %d:\n%s\nwhole:\n%s", int(size)+1, pieces, whole)
		}
	})
}
