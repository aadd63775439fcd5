package call

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/receipt"
)

var update = flag.Bool("update", false, "write the members of testdata again")

// fixture is an attempt as it might have been, and what is to be recorded of it.
type fixture struct {
	name     string
	route    Route
	request  RequestHead
	asked    []byte
	response ResponseHead
	answered []byte
	outputs  []byte // what response_hash is of; nil: there is none
	prompt   []byte // what prompt_hash is of; nil: it is not said
	members  []byte
}

func fixtures(t testing.TB) (list []fixture) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) < 50 {
		t.Fatalf("%d fixtures, %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := fixture{name: strings.TrimSuffix(filepath.Base(path), ".txtar")}
		for _, part := range txtar.Parse(text).Files {
			switch part.Name {
			case "request":
				first, header, body := message(part.Data)
				method, target, _ := strings.Cut(first, " ")
				f.request = RequestHead{Method: method, Header: header}
				f.request.Path, f.request.Query, _ = strings.Cut(target, "?")
				f.asked = body
				f.route = Find(header["Provider"][0], method, f.request.Path)
				delete(header, "Provider")
			case "response":
				first, header, body := message(part.Data)
				status, err := strconv.Atoi(first)
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				f.response, f.answered = ResponseHead{Status: status, Header: header}, body
			case "outputs":
				f.outputs = part.Data
			case "prompt":
				f.prompt = part.Data
			case "members":
				f.members = part.Data
			default:
				t.Fatalf("%s: what is %s", path, part.Name)
			}
		}
		list = append(list, f)
	}
	return list
}

// message is a first line, fields, an empty line and a body.
func message(text []byte) (first string, header map[string][]string, body []byte) {
	head, body, _ := bytes.Cut(text, []byte("\n\n"))
	header = map[string][]string{}
	for i, line := range strings.Split(string(head), "\n") {
		if i == 0 {
			first = line
			continue
		}
		name, value, _ := strings.Cut(line, ": ")
		header[name] = append(header[name], value)
	}
	return first, header, body
}

// begun passes an attempt, its bodies in pieces of that size, but not its end.
func (f *fixture) begun(budget *Budget, size int) *Call {
	c := Begin(f.route, f.request, budget)
	for p := range slices.Chunk(f.asked, size) {
		c.Request(p)
	}
	c.RequestEnd(true)
	c.Response(f.response)
	for p := range slices.Chunk(f.answered, size) {
		c.Body(p)
	}
	return c
}

// run passes a whole attempt.
func (f *fixture) run(budget *Budget, size int) *Call {
	c := f.begun(budget, size)
	c.End(Whole)
	return c
}

var attempt = Attempt{Number: 1, LogicalCallID: "c_0123456789abcdef", Attempt: 1, EndpointHost: "api.example.com",
	StartedAt: "2026-01-15T11:00:00.000000+00:00", FirstByteMS: 12, LatencyMS: 345}

func pretty(t testing.TB, members []jcs.Member) []byte {
	t.Helper()
	text, err := jcs.AppendPretty(nil, jcs.Obj(members...))
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

const room = 64 << 20

// CAP-6: what every fixture says is recorded, once, whatever is wrong with it, and CAP-9: with the provider's own numbers.
func TestWhatIsRecordedOfEachAttempt(t *testing.T) {
	for _, f := range fixtures(t) {
		budget := NewBudget(room)
		c := f.run(budget, 1<<20)
		got := pretty(t, c.Members(attempt))
		if *update {
			path := "testdata/" + f.name + ".txtar"
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := bytes.Cut(text, []byte("-- members --\n"))
			if err := os.WriteFile(path, append(append(head, "-- members --\n"...), got...), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !bytes.Equal(got, f.members) {
			t.Errorf("%s: recorded is\n%s", f.name, got)
		}
		if budget.Used() != 0 {
			t.Errorf("%s: %d bytes were not given back", f.name, budget.Used())
		}
		v, err := jcs.Parse(got, jcs.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		checkReceipt(t, v)
		if !receipt.AdmittedType(f.route.Type) {
			t.Errorf("%s: the type %s is not admitted", f.name, f.route.Type)
		}
	}
}

// checkReceipt holds what is recorded to what a receipt may be, and to what all of them have in common.
func checkReceipt(t *testing.T, v jcs.Value) {
	t.Helper()
	if err := receipt.CheckData(v); err != nil {
		t.Errorf("no receipt could hold it: %v", err)
	}
	for _, name := range []string{"source", "provider", "route", "success", "request_bytes", "started_at"} {
		if _, ok := v.Get(name); !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if at(v, "success").Bool == (text(v, "error_class") != "") {
		t.Errorf("success is %v, error_class %q", at(v, "success").Bool, text(v, "error_class"))
	}
}

// canonicalHash is the formula of the page, over a document that a fixture has.
func canonicalHash(t *testing.T, text []byte) string {
	t.Helper()
	canonical, err := jcs.Pack(nil, text, jcs.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(canonical)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// CAP-10 and CAP-11: the hashes are those of the documents that the fixtures say, by the formula of the page alone.
func TestHashesAreThoseOfTheCanonicalForms(t *testing.T) {
	prompts, outputs := 0, 0
	for _, f := range fixtures(t) {
		v := jcs.Obj(f.run(NewBudget(room), 1<<20).Members(attempt)...)
		if f.prompt != nil {
			prompts++
			if want := canonicalHash(t, f.prompt); text(v, "prompt_hash") != want {
				t.Errorf("%s: prompt_hash is %q, want %s", f.name, text(v, "prompt_hash"), want)
			}
		}
		want := ""
		if f.outputs != nil {
			outputs++
			want = canonicalHash(t, f.outputs)
		}
		if text(v, "response_hash") != want {
			t.Errorf("%s: response_hash is %q, want %q", f.name, text(v, "response_hash"), want)
		}
		if named := text(v, "canonicalization") != ""; named != (text(v, "prompt_hash") != "" || text(v, "response_hash") != "") {
			t.Errorf("%s: canonicalization is there: %v", f.name, named)
		}
	}
	if prompts < 15 || outputs < 25 {
		t.Errorf("%d prompts and %d outputs", prompts, outputs)
	}
}
