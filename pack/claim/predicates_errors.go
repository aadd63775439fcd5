package claim

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
)

// errorRateCheck is error_rate_le: no larger share of the receipts than max_rate tells of an error.
//
// There is no one member that says how a call ended: every program writes its own. So each member of a receipt is asked
// what it says of that (outcomeOf), the gravest answer is that of the receipt, and what should say it and cannot be read
// is no success: a signer who spells failures in a new way must not pass for one without failures.
type errorRateCheck struct {
	most              *big.Rat
	text, all         string
	allowNone         bool
	found, errors     int64
	malformed         int // receipts that tell of no error, and hold a status that nobody can read
	ids, unreadableID evidence
}

func askErrors(p *params) (check, []jcs.Value) {
	wants, all := p.types("model_call")
	c := &errorRateCheck{all: all, allowNone: p.flag("allow_none")}
	c.most, c.text = p.fraction("max_rate")
	if c.most.Cmp(big.NewRat(1, 1)) > 0 {
		p.wrong("param 'max_rate' is not a number from 0 to 1")
	}
	return c, wants
}

func (c *errorRateCheck) add(r *receiptView) {
	c.found++
	said := saysFine
	for i := range r.receipt.Members {
		m := &r.receipt.Members[i]
		if said = max(said, outcomeOf(m.Name, &m.Value)); said == saysFailed {
			c.errors++
			c.ids.add(r.id)
			return
		}
	}
	if said == saysNothing {
		c.malformed++
		c.unreadableID.add(r.id)
	}
}

func (c *errorRateCheck) answer() Result {
	ids := slices.Concat(c.ids, c.unreadableID)
	return withFigures(Result{
		Passed:   c.found > 0 && big.NewRat(c.errors, c.found).Cmp(c.most) <= 0,
		Expected: "errors in at most " + c.text + " of the " + c.all,
		Actual:   fmt.Sprintf("%d of %d", c.errors, c.found),
		Evidence: ids[:min(len(ids), maxEvidence)],
	}, int(c.found), unusable{malformed: c.malformed}, true, c.allowNone)
}

// outcome is what a member says of how a call ended, the gravest last.
type outcome int

const (
	saysFine    outcome = iota // or it is about something else
	saysNothing                // it should say, and cannot be read: that is not fine
	saysFailed
)

// outcomeOf knows how model_call and mcp_tool_call receipts say that a call failed (claims.md §6.7), and how
// other programs do. Names and words are taken in any case, with or without separators.
func outcomeOf(name string, v *jcs.Value) outcome {
	if name == "error" {
		return failedIf(python.Truth(v))
	}
	var room, other [32]byte
	switch string(plainWord(&room, name)) {
	case "error", "errors", "errormessage", "errortype", "errorcode", "exception", "iserror", "haserror", "resultiserror", "failed":
		return failedIf(python.Truth(v) && !(v.Kind == jcs.String && saysNo[string(plainWord(&other, v.Text))]))
	case "finishreason", "outcome", "status":
		return statusOf(v, saysFine, 0)
	case "statuscode", "httpstatus", "httpstatuscode", "httpcode", "responsecode", "responsestatus":
		return statusOf(v, saysNothing, 0)
	case "success", "succeeded", "successful", "ok":
		return successOf(v)
	}
	return saysFine
}

func failedIf(failed bool) outcome {
	if failed {
		return saysFailed
	}
	return saysFine
}

// statusOf reads a status, a number or a word. otherwise is what words and objects say that nobody knows: a
// status may be any word, a status code may not. Of a list each item counts.
func statusOf(v *jcs.Value, otherwise outcome, depth int) outcome {
	switch v.Kind {
	case jcs.Null:
		return saysFine
	case jcs.Bool:
		return failedIf(!v.Bool)
	case jcs.Number:
		zero, bad := jcs.Int(0), jcs.Int(400)
		switch n := python.NumberOf(v); {
		case n.Compare(python.NumberOf(&bad)) >= 0:
			return saysFailed
		case otherwise != saysFine && n.Compare(python.NumberOf(&zero)) < 0:
			return saysNothing
		}
		return saysFine
	case jcs.String:
		return outcomeOfText(v.Text, otherwise)
	}
	said := saysFine
	for i := range v.Items {
		if depth > 2 { // nobody writes a status so, and who does gets no success for it
			return saysNothing
		}
		said = max(said, statusOf(&v.Items[i], otherwise, depth+1))
	}
	if len(v.Members) > 0 { // an object is none of the forms of a status
		said = max(said, saysNothing)
	}
	return said
}

// outcomeOfText is about a status in words: "failed", "error: quota exceeded", "404 Not Found", "500", "HTTP 503".
func outcomeOfText(text string, otherwise outcome) outcome {
	var room [32]byte
	word := string(plainWord(&room, text))
	switch first := strings.ToLower(firstLetters(text)); {
	case saysError[word], saysError[first], first != "no" && first != "not" && !strings.HasPrefix(word, "no") && endsInError(word):
		return saysFailed
	case word == "" && strings.TrimSpace(text) == "":
		return otherwise
	case len(text) <= 64:
		if n, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil || n != 0 { // out of range is infinite
			if !(n < 400) {
				return saysFailed
			}
			if n < 0 {
				return otherwise
			}
			return saysFine
		}
	}
	// A number in front of words, as of "HTTP/1.1 503 Service Unavailable": three digits or more are a status.
	start := strings.TrimLeft(strings.ToLower(text[:min(len(text), 64)]), " \t\r\n+([\"'")
	start = strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(start, "http/1.1"), "http"), "/ :_-")
	digits := start[:len(start)-len(strings.TrimLeft(start, "0123456789"))]
	if n, err := strconv.Atoi(digits); err == nil && len(digits) >= 3 {
		return failedIf(n >= 400)
	} else if len(digits) > 3 { // more than an int holds
		return saysFailed
	}
	if saysYes[word] {
		return saysFine
	}
	return otherwise
}

// endsInError is about words such as internal_server_error and RateLimitError.
func endsInError(word string) bool {
	return slices.ContainsFunc([]string{"error", "errors", "failed", "failure", "exception", "timeout", "timedout"}, func(end string) bool { return strings.HasSuffix(word, end) })
}

// firstLetters is the first run of ASCII letters of a text of which nothing but marks stands before it.
func firstLetters(text string) string {
	letter := func(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	start := 0
	for start < len(text) && !letter(text[start]) && text[start] < 0x80 && (text[start] < '0' || text[start] > '9') {
		start++
	}
	end := start
	for end < len(text) && letter(text[end]) {
		end++
	}
	return text[start:end]
}

// successOf reads a member that is true of a call that did not fail.
func successOf(v *jcs.Value) outcome {
	switch {
	case v.Kind == jcs.Null:
		return saysFine
	case !python.Truth(v):
		return saysFailed
	case v.Kind == jcs.Bool:
		return saysFine
	case v.Kind == jcs.Number:
		zero := jcs.Int(0)
		if python.NumberOf(v).Compare(python.NumberOf(&zero)) > 0 {
			return saysFine
		}
	case v.Kind == jcs.String:
		var room [32]byte
		word := string(plainWord(&room, v.Text))
		switch {
		case saysYes[word]:
			return saysFine
		case saysNo[word], outcomeOfText(v.Text, saysFine) == saysFailed:
			return saysFailed
		}
	}
	return saysNothing
}

var (
	saysNo  = wordSet("false no none null 0 f n off nil undefined unsuccessful")
	saysYes = wordSet("true yes ok okay 1 t y on success successful succeeded pass passed done complete completed")

	saysError = wordSet("error errors errored err failed failure fail exception timeout timedout crashed aborted fatal panic panicked unsuccessful")
)

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// plainWord is a word without separators, in lower case, in room of the caller's: every member of every receipt
// is asked. A text that is too long to be one is empty.
func plainWord(room *[32]byte, text string) []byte {
	word := room[:0]
	for i := range len(text) {
		switch c := text[i]; {
		case c == '_' || c == '-' || c == ' ' || c == '.' || '\t' <= c && c <= '\r':
		case len(word) == len(room):
			return nil
		case 'A' <= c && c <= 'Z':
			word = append(word, c-'A'+'a')
		default:
			word = append(word, c)
		}
	}
	return word
}
