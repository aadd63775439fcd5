package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// wire answers requests without a network.
type wire func(*http.Request) (*http.Response, error)

func (f wire) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(status int, contentType string, body io.Reader) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(body)}
}

func clientOf(f wire) *http.Client { return witnessClient(&http.Client{Transport: f}) }

// WIT-35
func TestAnAnswerIsReadWholeOrNotAtAll(t *testing.T) {
	trouble := errors.New("connection reset")
	const max = 100
	for name, test := range map[string]struct {
		answer wire
		length int // -1: an error
	}{
		"nothing": {func(*http.Request) (*http.Response, error) { return response(200, "", strings.NewReader("")), nil }, 0},
		"as much as may": {func(*http.Request) (*http.Response, error) {
			return response(200, "", strings.NewReader(strings.Repeat("x", max))), nil
		}, max},
		"one byte more": {func(*http.Request) (*http.Response, error) {
			return response(200, "", strings.NewReader(strings.Repeat("x", max+1))), nil
		}, -1},
		"without end": {func(*http.Request) (*http.Response, error) { return response(200, "", endless{}), nil }, -1},
		"no answer":   {func(*http.Request) (*http.Response, error) { return nil, trouble }, -1},
		"half of it": {func(*http.Request) (*http.Response, error) {
			return response(200, "", io.MultiReader(strings.NewReader("half"), broken{trouble})), nil
		}, -1},
	} {
		var agent string
		client := clientOf(func(r *http.Request) (*http.Response, error) {
			agent = r.Header.Get("User-Agent")
			return test.answer(r)
		})
		req, err := http.NewRequest(http.MethodGet, "http://secret:user@witness.example/", nil)
		must(t, err)
		status, _, body, err := exchange(client, req, max)
		if (err != nil) != (test.length < 0) || err == nil && (status != 200 || len(body) != test.length) || err != nil && body != nil {
			t.Errorf("%s: %d, %d bytes, %v", name, status, len(body), err)
		}
		if err != nil && strings.Contains(err.Error(), "witness.example") {
			t.Errorf("%s: the error names the URL: %v", name, err)
		}
		if agent != "assay-ledger" {
			t.Errorf("%s: asked as %q", name, agent)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// A witness of which the policy has an Ed25519 and an ML-DSA-44 key, one of another place, and one
// that cannot be asked.
// WIT-32
func TestEndpointsAreTheURLsOfThePolicy(t *testing.T) {
	log := trusttest.NewLog(testOrigin)
	log.Append([]byte("leaf"))
	var all []*trusttest.Witness
	for name, url := range map[string]string{"a1": "https://a.example/w", "a2": "https://a.example/w/", "b": "https://b.example", "c": ""} {
		w := trusttest.NewWitness(name, trust.Ed25519Cosigner)
		w.URL = url
		all = append(all, w)
	}
	policy := trusttest.Policy(log, all, 1)
	list := func(published *trust.Checkpoint) map[string]int64 {
		known := map[string]int64{}
		for _, e := range endpoints(policy, published) {
			known[e.url+" "+fmt.Sprint(len(e.witnesses))] = e.known
		}
		return known
	}
	if got := list(nil); fmt.Sprint(got) != "map[https://a.example/w 2:0 https://b.example 1:0]" {
		t.Errorf("endpoints %v", got)
	}
	for _, w := range all {
		cp, err := policy.OpenCheckpoint(log.Checkpoint(w))
		must(t, err)
		want := map[string]string{"a1": "a", "a2": "a", "b": "b"}[w.Cosigner.Name()]
		for url, known := range list(cp) {
			if cosigned := strings.HasPrefix(url, "https://"+want+"."); cosigned && known != 1 || !cosigned && known != 0 {
				t.Errorf("cosigned by %s: %s is thought to know size %d", w.Cosigner.Name(), url, known)
			}
		}
	}
}

// answering is a closed log of three entries, and a policy with two witnesses at one endpoint and one elsewhere.
func answering(t *testing.T) (past history, policy *trust.Policy, cp *trust.Checkpoint, witnesses []*trusttest.Witness, w *world) {
	t.Helper()
	w = newWorld(t, 0, 0)
	w.open()
	w.addAll(0, 3)
	w.close()
	witnesses = []*trusttest.Witness{
		trusttest.NewWitness("here.ed", trust.Ed25519Cosigner), trusttest.NewWitness("here.ml", trust.MLDSA44Cosigner), trusttest.NewWitness("elsewhere", trust.Ed25519Cosigner),
	}
	var lines []trust.PolicyWitness
	for _, w := range witnesses {
		lines = append(lines, trust.PolicyWitness{Name: w.Cosigner.Name(), VKey: w.Cosigner.VKey()})
	}
	policy, err := trust.ParsePolicy(trust.FormatPolicy(w.cfg.Policy.Logs(), lines, 1))
	must(t, err)
	s, err := openStore(w.cfg.Dir)
	must(t, err)
	t.Cleanup(func() { s.close() })
	g, err := openGuard(w.cfg.GuardDir, w.cfg.Signer, policy)
	must(t, err)
	t.Cleanup(func() { g.close() })
	note, err := w.cfg.Signer.Sign(testOrigin, 3, g.highWater().Root)
	must(t, err)
	cp, err = policy.OpenLogSignature(note)
	must(t, err)
	return history{s, g}, policy, cp, witnesses, w
}

// WIT-33, WIT-34, WIT-35
func TestWhatAWitnessAnswersIsTakenForWhatItIs(t *testing.T) {
	past, policy, cp, witnesses, world := answering(t)
	ed, ml, elsewhere := witnesses[0], witnesses[1], witnesses[2]
	join := func(lines ...[]byte) string { return string(bytes.Join(lines, nil)) }
	cosigned := func(w *trusttest.Witness) []byte { return w.Cosign(cp.Signed) }
	stranger := trusttest.NewWitness("stranger", trust.Ed25519Cosigner)
	garbled := bytes.Replace(cosigned(ed), []byte("A"), []byte("B"), 1)
	smaller, err := world.cfg.Signer.Sign(testOrigin, 2, cp.Root)
	must(t, err)
	for name, test := range map[string]struct {
		status      int
		contentType string
		body        string
		cosigned    int  // by how many keys of this endpoint; 0: an error
		named       bool // a size
		asked       int  // times
	}{
		"both keys":                    {200, "text/plain", join(cosigned(ed), cosigned(ml)), 2, false, 1},
		"both keys, any type":          {200, "text/html", join(cosigned(ml), cosigned(ed)), 2, false, 1},
		"one key":                      {200, "text/plain", join(cosigned(ml)), 1, false, 1},
		"one key and a stranger's":     {200, "text/plain", join(cosigned(stranger), cosigned(ed)), 1, false, 1},
		"another endpoint's key alone": {200, "text/plain", join(cosigned(elsewhere)), 0, false, 1},
		"another's beside its own":     {200, "text/plain", join(cosigned(elsewhere), cosigned(ed)), 1, false, 1},
		"nothing":                      {200, "text/plain", "", 0, false, 1},
		"a blank line":                 {200, "text/plain", "\n", 0, false, 1},
		"a page":                       {200, "text/html", "<html>Sign in to the network</html>\n", 0, false, 1},
		"a line and a blank one":       {200, "text/plain", join(cosigned(ed), []byte("\n")), 0, false, 1},
		"a line and text":              {200, "text/plain", join(cosigned(ed), []byte("thank you\n")), 0, false, 1},
		"a line without its newline":   {200, "text/plain", strings.TrimSuffix(join(cosigned(ed)), "\n"), 0, false, 1},
		"the whole note":               {200, "text/plain", join(cp.Signed, cosigned(ed)), 0, false, 1},
		"a garbled line":               {200, "text/plain", join(garbled), 0, false, 1},
		"a cosignature of other text":  {200, "text/plain", join(ed.Cosign(smaller), ml.Cosign(smaller)), 0, false, 1},
		"our own signature":            {200, "text/plain", string(cp.Signed[bytes.LastIndex(cp.Signed, []byte("\n\n"))+2:]), 0, false, 1},
		"not UTF-8":                    {200, "text/plain", "\xff\xfe\n", 0, false, 1},
		"created":                      {201, "text/plain", join(cosigned(ed)), 0, false, 1},
		"no content":                   {204, "text/plain", "", 0, false, 1},
		"a redirect":                   {307, "text/plain", "", 0, false, 1},
		"bad request":                  {400, "text/plain", "", 0, false, 1},
		"too many requests":            {429, "text/plain", "", 0, false, 1},
		"an error":                     {500, "text/plain", join(cosigned(ed)), 0, false, 1},
		"the size it was sent":         {409, "text/x.tlog.size", "0\n", 0, false, 1},
		"a size, for ever":             {409, "text/x.tlog.size", "1\n", 0, true, 2},
		"a size of another type":       {409, "text/plain", "1\n", 0, false, 1},
		"a size with a charset":        {409, "text/x.tlog.size; charset=utf-8", "1\n", 0, false, 1},
		"a size without its newline":   {409, "text/x.tlog.size", "1", 0, false, 1},
		"two sizes":                    {409, "text/x.tlog.size", "1\n2\n", 0, false, 1},
		"a size of nothing":            {409, "text/x.tlog.size", "\n", 0, false, 1},
		"a size with a sign":           {409, "text/x.tlog.size", "+1\n", 0, false, 1},
		"a size below 0":               {409, "text/x.tlog.size", "-1\n", 0, false, 1},
		"a size above 2^63":            {409, "text/x.tlog.size", "9223372036854775808\n", 0, false, 1},
		"more than may be":             {200, "text/plain", strings.Repeat("x", maxAnswer+1), 0, false, 1},
	} {
		e := &endpoint{url: "https://witness.example/prefix", witnesses: []string{"here.ed", "here.ml"}}
		asked := 0
		client := clientOf(func(r *http.Request) (*http.Response, error) {
			if asked++; r.Method != http.MethodPost || r.URL.String() != "https://witness.example/prefix/add-checkpoint" || r.Header.Get("Content-Type") == "" {
				t.Errorf("%s: asked by %s %s", name, r.Method, r.URL)
			}
			body, err := io.ReadAll(r.Body)
			must(t, err)
			q, err := trust.ParseAddCheckpoint(body)
			if err != nil || !bytes.Equal(q.Checkpoint, cp.Signed) || q.OldSize > cp.Size {
				t.Errorf("%s: asked with %q, %v", name, body, err)
			}
			answer := response(test.status, test.contentType, strings.NewReader(test.body))
			answer.Header.Set("Location", "https://elsewhere.example/")
			return answer, nil
		})
		r, err := e.ask(context.Background(), client, policy, cp, past)
		if len(r.cosignatures) != test.cosigned || r.named || (err == nil) != (test.cosigned > 0) || asked != test.asked {
			t.Errorf("%s: %d cosignatures, named %t, asked %d times, %v", name, len(r.cosignatures), r.named, asked, err)
		}
		for _, c := range r.cosignatures {
			if !strings.HasPrefix(c.Witness, "here.") {
				t.Errorf("%s: a cosignature of %s", name, c.Witness)
			}
		}
		want := int64(0)
		if test.cosigned > 0 {
			want = 3
		} else if test.named {
			want = 1
		}
		if e.known != want {
			t.Errorf("%s: it is thought to know size %d, want %d", name, e.known, want)
		}
	}
}

// What a witness says of its size is believed as far as it can be, and what fails says nothing of it.
// WIT-33
func TestAWitnessIsAskedFromTheSizeThatItNames(t *testing.T) {
	past, policy, cp, witnesses, _ := answering(t)
	type step struct {
		old         int64 // that it is asked from
		status      int
		contentType string
		body        string
	}
	size := func(old int64, size string) step { return step{old, 409, "text/x.tlog.size", size + "\n"} }
	cosigned := string(witnesses[0].Cosign(cp.Signed))
	for name, test := range map[string]struct {
		known int64
		steps []step
		named bool
		good  bool
		then  int64 // the size it is thought to know
	}{
		"it knows less":                        {2, []step{size(2, "1"), {1, 200, "text/plain", cosigned}}, true, true, 3},
		"it knows nothing":                     {2, []step{size(2, "0"), {0, 200, "text/plain", cosigned}}, true, true, 3},
		"it knows more than we thought":        {0, []step{size(0, "2"), {2, 200, "text/plain", cosigned}}, true, true, 3},
		"it knows this tree":                   {1, []step{size(1, "3"), {3, 200, "text/plain", cosigned}}, true, true, 3},
		"we thought that it knew more":         {9, []step{{3, 200, "text/plain", cosigned}}, false, true, 3},
		"its size moves once more":             {0, []step{size(0, "1"), size(1, "2"), {2, 200, "text/plain", cosigned}}, true, true, 3},
		"its size moves for ever":              {0, []step{size(0, "1"), size(1, "2"), size(2, "1")}, false, false, 1},
		"it names a size, and fails":           {2, []step{size(2, "1"), {1, 503, "text/plain", ""}}, true, false, 1},
		"it names a size, and cosigns nothing": {2, []step{size(2, "1"), {1, 200, "text/plain", ""}}, true, false, 1},
		"it fails":                             {2, []step{{2, 503, "text/plain", ""}}, false, false, 2},
		"it answers with a page":               {2, []step{{2, 200, "text/html", "<html>\n"}}, false, false, 2},
		"it answers with a size in a page":     {2, []step{{2, 409, "text/html", "1\n"}}, false, false, 2},
	} {
		e := &endpoint{url: "https://witness.example", witnesses: []string{"here.ed"}, known: test.known}
		asked := 0
		r, err := e.ask(context.Background(), clientOf(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			must(t, err)
			q, err := trust.ParseAddCheckpoint(body)
			if err != nil || asked >= len(test.steps) || q.OldSize != test.steps[asked].old {
				t.Errorf("%s: question %d is %q, %v", name, asked+1, body, err)
				return nil, errors.New("no answer")
			}
			s := test.steps[asked]
			asked++
			return response(s.status, s.contentType, strings.NewReader(s.body)), nil
		}), policy, cp, past)
		if r.named != test.named || (err == nil) != test.good || test.good != (len(r.cosignatures) == 1) || e.known != test.then || asked != len(test.steps) {
			t.Errorf("%s: named %t, %d cosignatures, thought to know %d, asked %d times, %v", name, r.named, len(r.cosignatures), e.known, asked, err)
		}
	}
}

// What a witness shows as evidence is our own signature or nothing.
// WIT-36
func TestOnlyOurOwnSignatureIsEvidence(t *testing.T) {
	_, policy, cp, _, world := answering(t)
	other := trusttest.NewLog("other.example/log")
	both, err := trust.ParsePolicy(trust.FormatPolicy(append(policy.Logs(), trust.PolicyLog{VKey: other.Signer.VKey()}), nil, 0))
	must(t, err)
	larger, err := world.cfg.Signer.Sign(testOrigin, 9, cp.Root)
	must(t, err)
	for name, test := range map[string]struct {
		status int
		text   string
		size   int64 // -1: an error
	}{
		"ours":                       {200, string(cp.Signed), 3},
		"a larger one of ours":       {200, string(larger), 9},
		"ours, under another status": {404, string(larger), -1},
		"nothing":                    {200, "", -1},
		"nothing, with 204":          {204, "", -1},
		"no signature":               {200, string(cp.Text()), -1},
		"a forged one":               {200, strings.Replace(string(larger), "\n9\n", "\n10\n", 1), -1},
		"that of another log":        {200, string(other.Checkpoint()), -1},
		"a page":                     {200, "<html>\n", -1},
		"more than may be":           {200, string(larger) + strings.Repeat("x", trust.MaxSize), -1},
	} {
		e := &endpoint{url: "https://witness.example"}
		shown, err := e.latest(context.Background(), clientOf(func(r *http.Request) (*http.Response, error) {
			if want := fmt.Sprintf("https://witness.example/%x/checkpoint", sha256.Sum256([]byte(testOrigin))); r.Method != http.MethodGet || r.URL.String() != want {
				t.Errorf("asked by %s %s, want %s", r.Method, r.URL, want)
			}
			return response(test.status, "text/plain", strings.NewReader(test.text)), nil
		}), both, testOrigin)
		if (err == nil) != (test.size >= 0) || err == nil && shown.Size != test.size || err != nil && shown != nil {
			t.Errorf("%s: %+v, %v", name, shown, err)
		}
	}
}

// A size above ours is a claim. What the witness shows decides, as after a refusal.
// WIT-36
func TestALargerSizeThatAWitnessNamesIsAClaim(t *testing.T) {
	past, policy, cp, _, world := answering(t)
	larger, err := world.cfg.Signer.Sign(testOrigin, 4, cp.Root)
	must(t, err)
	for name, test := range map[string]struct {
		size   string
		shown  string
		forked bool
	}{
		"one more, and shows nothing":           {"4", "", false},
		"a huge one, and shows nothing":         {"9223372036854775807", "", false},
		"one more, and shows our tree":          {"4", string(cp.Signed), false},
		"one more, and shows our signature":     {"4", string(larger), true},
		"another one, and shows our signature":  {"7", string(larger), true},
		"one more, and what it shows is forged": {"4", strings.Replace(string(larger), "\n4\n", "\n5\n", 1), false},
	} {
		e := &endpoint{url: "https://witness.example", witnesses: []string{"here.ed"}, known: 2}
		posted, fetched := 0, 0
		r, err := e.ask(context.Background(), clientOf(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost {
				posted++
				return response(409, "text/x.tlog.size", strings.NewReader(test.size+"\n")), nil
			}
			fetched++
			return response(200, "text/plain", strings.NewReader(test.shown)), nil
		}), policy, cp, past)
		if err == nil || r.named || len(r.cosignatures) != 0 || errors.Is(err, errForked) != test.forked || posted != 1 || fetched != 1 || e.known != 2 {
			t.Errorf("%s: named %t, asked %d times, looked %d times, thought to know %d: %v", name, r.named, posted, fetched, e.known, err)
		}
		if !test.forked && !strings.Contains(err.Error(), "it claims size "+test.size) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A witness that refuses our tree may know better than we do, or lie: only what carries our own
// signature says which.
// WIT-36
func TestARefusalIsEvidenceOnlyWithOurSignatureOfAnotherPast(t *testing.T) {
	past, policy, cp, _, world := answering(t)
	sign := func(size int64, root tlog.Hash) string {
		note, err := world.cfg.Signer.Sign(testOrigin, size, root)
		must(t, err)
		return string(note)
	}
	for name, test := range map[string]struct {
		status  int
		shown   string
		forked  bool
		mention string
	}{
		"the tree that it was sent":       {200, string(cp.Signed), false, "of this log"},
		"the empty tree":                  {200, sign(0, trust.EmptyRoot), false, "of this log"},
		"a larger tree":                   {200, sign(4, cp.Root), true, "rolled back"},
		"another tree of that size":       {200, sign(3, tlog.Hash{1}), true, "a fork"},
		"a smaller tree that is no part":  {200, sign(2, tlog.Hash{1}), true, "a fork"},
		"nothing":                         {404, "", false, "nothing that we signed"},
		"a larger tree, with an error":    {500, sign(4, cp.Root), false, "nothing that we signed"},
		"a larger tree that is not ours":  {200, strings.Replace(sign(4, cp.Root), "\n4\n", "\n5\n", 1), false, "nothing that we signed"},
		"a page that asks for a password": {200, "<html>\n", false, "nothing that we signed"},
	} {
		why := errors.New("it refuses")
		e := &endpoint{url: "https://witness.example", witnesses: []string{"here.ed"}}
		err := e.refused(context.Background(), clientOf(func(*http.Request) (*http.Response, error) {
			return response(test.status, "text/plain", strings.NewReader(test.shown)), nil
		}), policy, cp, past, why)
		if err == nil || errors.Is(err, errForked) != test.forked || !test.forked && !errors.Is(err, why) || !strings.Contains(err.Error(), test.mention) {
			t.Errorf("it shows %s: %v", name, err)
		}
	}
	if past.guard.highWater().Size != 3 {
		t.Errorf("the guard now remembers %v", past.guard.highWater())
	}
}
