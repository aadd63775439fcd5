package claim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Haserjian/assay-ledger/internal/racetest"
	"github.com/Haserjian/assay-ledger/pack/internal/form"
	"github.com/Haserjian/assay-ledger/pack/internal/python"
	"github.com/Haserjian/assay-ledger/pack/jcs"
	"github.com/Haserjian/assay-ledger/pack/jcs/jcstest"
)

// calls is what most cases below judge: four model calls, the second an error, and a verdict on the first.
const calls = `{"receipt_id":"a","type":"model_call","seq":0,"model_id":"gpt-4o","latency_ms":100,"input_tokens":10,"output_tokens":5,"total_tokens":15,"finish_reason":"stop","error":null,"ok":true}
{"receipt_id":"b","type":"model_call","seq":1,"model_id":"gpt-4o-mini","latency_ms":250.5,"input_tokens":20,"output_tokens":0,"total_tokens":5,"finish_reason":"error","ok":1}
{"receipt_id":"c","type":"model_call","seq":3,"model_id":"claude-3","latency_ms":9007199254740993,"input_tokens":7,"output_tokens":1}
{"receipt_id":"d","type":"model_call","seq":3,"latency_ms":"fast","total_tokens":null,"input_tokens":4}
{"receipt_id":"e","type":"guardian_verdict","seq":4,"parent_receipt_id":"a","verdict":"deny"}`

// CLM-19, CLM-20
func TestPredicatesComeToWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		check, params, lines string
		passed               bool
		expected, actual     string
		evidence             string
	}{
		{"receipt_count_le", `{"max_count":5}`, calls, true, "at most 5 receipts", "found 5", ""},
		{"receipt_count_le", `{"max_count":4}`, calls, false, "at most 4 receipts", "found 5", "e"},
		{"receipt_count_le", `{"max_count":0,"receipt_type":"model_call"}`, calls, false, "at most 0 'model_call' receipts", "found 4", "a b c d"},
		{"receipt_count_le", `{"max_count":0}`, ``, true, "at most 0 receipts", "found 0", ""},
		{"receipt_count_between", `{"min_count":1,"max_count":4,"receipt_type":"model_call"}`, calls, true, "1 to 4 'model_call' receipts", "found 4", ""},
		{"receipt_count_between", `{"min_count":5,"max_count":9,"receipt_type":"model_call"}`, calls, false, "5 to 9 'model_call' receipts", "found 4", ""},
		{"receipt_count_between", `{"min_count":0,"max_count":4}`, calls, false, "0 to 4 receipts", "found 5", "e"},

		{"field_present", `{"field_name":"seq"}`, calls, true, "all receipts: seq present", "0 mismatches out of 5", ""},
		{"field_present", `{"field_name":"error","receipt_type":"model_call"}`, calls, false, "all 'model_call' receipts: error present", "4 mismatches out of 4", "a b c d"},
		{"field_present", `{"field_name":"x","receipt_type":"refusal"}`, calls, false, "all 'refusal' receipts: x present", "no such receipts found", ""},
		{"field_present", `{"field_name":"x","receipt_type":"refusal","allow_none":true}`, calls, true, "all 'refusal' receipts: x present", "no such receipts found", ""},
		{"field_present", `{"field_name":"seq"}`, ``, false, "all receipts: seq present", "no such receipts found", ""},

		{"field_in", `{"field_name":"seq","allowed":[0.0,1,3,4e0]}`, calls, true, "all receipts: seq in [0, 1, 3, 4]", "0 mismatches out of 5", ""},
		{"field_in", `{"field_name":"ok","allowed":[true],"receipt_type":"model_call"}`, calls, false, "all 'model_call' receipts: ok in [True]", "3 mismatches out of 4", "b c d"},
		{"field_in", `{"field_name":"ok","allowed":[1],"receipt_type":"model_call"}`, calls, false, "all 'model_call' receipts: ok in [1]", "3 mismatches out of 4", "a c d"},
		{"field_in", `{"field_name":"verdict","allowed":["allow","deny","it's"],"receipt_type":"guardian_verdict"}`, calls, true, `all 'guardian_verdict' receipts: verdict in ['allow', 'deny', "it's"]`, "0 mismatches out of 1", ""},
		{"field_in", `{"field_name":"seq","allowed":[9,8,7,6,5,4,3,2,1,0]}`, calls, true, "all receipts: seq in [9, 8, 7, 6, 5, 4, 3, 2, ... 10 values]", "0 mismatches out of 5", ""},
		{"field_in", `{"field_name":"latency_ms","allowed":[9007199254740992,9007199254740992.0]}`, calls, false, "all receipts: latency_ms in [9007199254740992, 9007199254740992]", "5 mismatches out of 5", "a b c d e"},

		{"field_matches", `{"field_name":"model_id","pattern":"gpt-4o(-mini)?|claude-[0-9]","receipt_type":"model_call"}`, calls, false, "all 'model_call' receipts: model_id matches 'gpt-4o(-mini)?|claude-[0-9]'", "1 mismatches out of 4", "d"},
		{"field_matches", `{"field_name":"model_id","pattern":"gpt"}`, calls, false, "all receipts: model_id matches 'gpt'", "5 mismatches out of 5", "a b c d e"},
		{"field_matches", `{"field_name":"type","pattern":"[a-z_]+"}`, calls, true, "all receipts: type matches '[a-z_]+'", "0 mismatches out of 5", ""},
		{"field_matches", `{"field_name":"type","pattern":"^(?i)MODEL_call$","receipt_type":"model_call"}`, calls, true, "all 'model_call' receipts: type matches '^(?i)MODEL_call$'", "0 mismatches out of 4", ""},
		{"field_matches", `{"field_name":"v","pattern":"a.*"}`, `{"receipt_id":"x","v":"a\nb"}`, false, "all receipts: v matches 'a.*'", "1 mismatches out of 1", "x"},

		{"numeric_ge", `{"field_name":"seq","min":0}`, calls, true, "all receipts: seq >= 0", "0 mismatches out of 5", ""},
		{"numeric_ge", `{"field_name":"latency_ms","min":100.0,"receipt_type":"model_call"}`, calls, false, "all 'model_call' receipts: latency_ms >= 100", "1 mismatches out of 4", "d"},
		{"numeric_le", `{"field_name":"latency_ms","max":9007199254740992,"receipt_type":"model_call"}`, calls, false, "all 'model_call' receipts: latency_ms <= 9007199254740992", "2 mismatches out of 4", "c d"},
		{"numeric_le", `{"field_name":"latency_ms","max":1e21,"receipt_type":"model_call"}`, calls, false, "all 'model_call' receipts: latency_ms <= 1E21", "1 mismatches out of 4", "d"},
		{"numeric_le", `{"field_name":"ok","max":1,"receipt_type":"model_call"}`, calls, false, "all 'model_call' receipts: ok <= 1", "3 mismatches out of 4", "a c d"},

		{"model_allowlist", `{"allowed":["gpt-4o","gpt-4o-*","claude-3"]}`, calls, false, "all 'model_call' receipts: model_id in ['gpt-4o', 'gpt-4o-*', 'claude-3']", "1 mismatches out of 4", "d"},
		{"model_allowlist", `{"allowed":["gpt-4o"],"field_name":"verdict","receipt_type":"guardian_verdict"}`, calls, false, "all 'guardian_verdict' receipts: verdict in ['gpt-4o']", "1 mismatches out of 1", "e"},
		{"model_allowlist", `{"allowed":["gpt-4o"]}`, ``, false, "all 'model_call' receipts: model_id in ['gpt-4o']", "no such receipts found", ""},

		{"token_max", `{"max_tokens":43,"allow_missing":true}`, calls, true, "at most 43 tokens in all 'model_call' receipts", "43 tokens in 4, 1 without", ""},
		{"token_max", `{"max_tokens":42,"allow_missing":true}`, calls, false, "at most 42 tokens in all 'model_call' receipts", "43 tokens in 4, 1 without", ""},
		{"token_max", `{"max_tokens":1000}`, calls, false, "at most 1000 tokens in all 'model_call' receipts", "43 tokens in 4, 1 without", "d"},
		{"token_max", `{"max_tokens":15,"per":"receipt","allow_missing":true}`, calls, false, "at most 15 tokens in each of the 'model_call' receipts", "1 of 4 above, the largest 20, 1 without", "b"},
		{"token_max", `{"max_tokens":20,"per":"receipt","allow_missing":true}`, calls, true, "at most 20 tokens in each of the 'model_call' receipts", "0 of 4 above, the largest 20, 1 without", ""},
		{"token_max", `{"max_tokens":0,"allow_none":true}`, ``, true, "at most 0 tokens in all 'model_call' receipts", "no such receipts found", ""},
		{"token_max", `{"max_tokens":9}`, `{"type":"model_call","receipt_id":"x","total_tokens":-1}`, false, "at most 9 tokens in all 'model_call' receipts", "0 tokens in 1, 1 without", "x"},

		{"latency_p95_le", `{"max_ms":300}`, calls, false, "95th percentile of latency_ms in all 'model_call' receipts <= 300", "250.5 in 4, 2 without", "c d"},
		{"latency_p95_le", `{"max_ms":250.5,"allow_missing":true}`, calls, false, "95th percentile of latency_ms in all 'model_call' receipts <= 250.5", "250.5 in 4, 2 malformed", "c d"},
		{"latency_p95_le", `{"max_ms":250,"allow_missing":true}`, calls, false, "95th percentile of latency_ms in all 'model_call' receipts <= 250", "250.5 in 4, 2 malformed", "c d"},
		{"latency_p95_le", `{"max_ms":1,"receipt_type":"guardian_verdict","allow_missing":true}`, calls, false, "95th percentile of latency_ms in all 'guardian_verdict' receipts <= 1", "none in 1, 1 without", "e"},

		{"error_rate_le", `{"max_rate":0.25}`, calls, true, "errors in at most 0.25 of the 'model_call' receipts", "1 of 4", "b"},
		{"error_rate_le", `{"max_rate":0.2499999}`, calls, false, "errors in at most 0.2499999 of the 'model_call' receipts", "1 of 4", "b"},
		{"error_rate_le", `{"max_rate":0,"receipt_type":"mcp_tool_call"}`, `{"receipt_id":"x","type":"mcp_tool_call","outcome":"error"}
{"receipt_id":"y","type":"mcp_tool_call","outcome":"forwarded","result_is_error":true}
{"receipt_id":"z","type":"mcp_tool_call","outcome":"denied","error":""}
{"receipt_id":"w","type":"mcp_tool_call","error":"timeout"}`, false, "errors in at most 0 of the 'mcp_tool_call' receipts", "3 of 4", "x y w"},

		{"every_has", `{"receipt_type":"model_call","has_type":"guardian_verdict"}`, calls, false, "every 'model_call' receipt has a 'guardian_verdict' receipt whose parent_receipt_id is its receipt_id", "3 without out of 4", "b c d"},
		{"every_has", `{"receipt_type":"guardian_verdict","has_type":"model_call","link_field":"parent_receipt_id","has_link_field":"receipt_id","order":"before"}`, calls, true, "every 'guardian_verdict' receipt has a 'model_call' receipt before it whose receipt_id is its parent_receipt_id", "0 without out of 1", ""},
		{"every_has", `{"receipt_type":"guardian_verdict","has_type":"model_call","link_field":"parent_receipt_id","has_link_field":"receipt_id","order":"after"}`, calls, false, "every 'guardian_verdict' receipt has a 'model_call' receipt after it whose receipt_id is its parent_receipt_id", "1 without out of 1", "e"},
		{"every_has", `{"receipt_type":"refusal","has_type":"model_call"}`, calls, false, "every 'refusal' receipt has a 'model_call' receipt whose parent_receipt_id is its receipt_id", "no such receipts found", ""},

		{"no_gap_in_seq", `{}`, calls, false, "seq of all receipts from 0 without a gap", "1 gaps in 5, the first before 3", ""},
		{"no_gap_in_seq", `{"start":null,"receipt_type":"guardian_verdict"}`, calls, true, "seq of all 'guardian_verdict' receipts without a gap", "no gap in 1", ""},
		{"no_gap_in_seq", `{"receipt_type":"guardian_verdict"}`, calls, false, "seq of all 'guardian_verdict' receipts from 0 without a gap", "1 gaps in 1, the first before 4", ""},
		{"no_gap_in_seq", `{"field_name":"n","start":3}`, "{\"n\":5}\n{\"n\":3}\n{\"n\":4}", true, "n of all receipts from 3 without a gap", "no gap in 3", ""},
		{"no_gap_in_seq", `{"field_name":"n","start":3}`, "{\"n\":5}\n{\"n\":2}\n{\"n\":9223372036854775807}", false, "n of all receipts from 3 without a gap", "3 gaps in 3, the first before 2", ""},
		{"no_gap_in_seq", `{"field_name":"n"}`, "{\"n\":0}\n{\"n\":1.0,\"receipt_id\":\"x\"}", false, "n of all receipts from 0 without a gap", "no gap in 2, 1 without", "x"},

		{"ratio", `{"receipt_type":"guardian_verdict","of_type":"model_call","min_ratio":0.25,"max_ratio":0.25}`, calls, true, "ratio of 'guardian_verdict' receipts to 'model_call' receipts >= 0.25 and <= 0.25", "1 to 4", ""},
		{"ratio", `{"receipt_type":"guardian_verdict","of_type":"model_call","min_ratio":1}`, calls, false, "ratio of 'guardian_verdict' receipts to 'model_call' receipts >= 1", "1 to 4", ""},
		{"ratio", `{"receipt_type":"guardian_verdict","of_type":"guardian_verdict","max_ratio":0.5,"field_name":"verdict","expected_value":"deny"}`, calls, false, "ratio of 'guardian_verdict' receipts with verdict='deny' to 'guardian_verdict' receipts <= 0.5", "1 to 1", ""},
		{"ratio", `{"receipt_type":"model_call","of_type":"refusal","max_ratio":100}`, calls, false, "ratio of 'model_call' receipts to 'refusal' receipts <= 100", "4 to 0", ""},
		{"ratio", `{"receipt_type":"challenge","of_type":"refusal","max_ratio":0.1,"allow_none":true}`, calls, true, "ratio of 'challenge' receipts to 'refusal' receipts <= 0.1", "0 to 0", ""},

		{"ratio", `{"receipt_type":"model_call","of_type":"refusal","max_ratio":100,"allow_none":true}`, calls, false, "ratio of 'model_call' receipts to 'refusal' receipts <= 100", "4 to 0", ""},
		{"token_max", `{"max_tokens":9}`, `{"type":"model_call","receipt_id":"x","total_tokens":9007199254740992}`, false, "at most 9 tokens in all 'model_call' receipts", "0 tokens in 1, 1 without", "x"},

		{"proxy_completeness", `{}`, "{\"receipt_id\":\"s\",\"type\":\"session_metadata\",\"requests_seen\":5,\"receipts_written\":3}\n{\"receipt_id\":\"t\",\"type\":\"session_metadata\",\"requests_seen\":3,\"receipts_written\":5}",
			false, "requests_seen = receipts_written and no bypass in 'session_metadata' receipts", "seen 8, written 8, 2 of 2 unequal, 0 bypasses", "s t"},
		{"proxy_completeness", `{}`, calls, false, "requests_seen = receipts_written and no bypass in 'session_metadata' receipts", "no such receipts found", ""},
		{"proxy_completeness", `{}`, calls + "\n" + `{"receipt_id":"s","type":"session_metadata","requests_seen":4,"receipts_written":4,"not_intercepted":[],"receipts_failed":0}` + "\n" + `{"receipt_id":"o","type":"session_metadata"}`,
			true, "requests_seen = receipts_written and no bypass in 'session_metadata' receipts", "seen 4, written 4, 0 of 1 unequal, 0 bypasses", ""},
		{"proxy_completeness", `{"counted_types":["model_call"]}`, calls + "\n" + `{"receipt_id":"s","type":"session_metadata","requests_seen":5,"receipts_written":5}`,
			false, "requests_seen = receipts_written and no bypass in 'session_metadata' receipts, as many as receipts of types ['model_call']", "seen 5, written 5, 0 of 1 unequal, 0 bypasses, in the pack 4", ""},
		{"proxy_completeness", `{}`, `{"receipt_id":"s","type":"session_metadata","requests_seen":5,"receipts_written":3}
{"receipt_id":"t","type":"session_metadata","requests_seen":3,"receipts_written":5}
{"receipt_id":"u","type":"session_metadata","requests_seen":1}
{"receipt_id":"v","type":"session_metadata","requests_seen":0,"receipts_written":0,"not_intercepted":["api.example"]}`,
			false, "requests_seen = receipts_written and no bypass in 'session_metadata' receipts", "seen 8, written 8, 2 of 4 unequal, 1 bypasses, 1 without numbers", "s t u v"},
	} {
		r := judgeOne(t, c.check, c.params, c.lines)
		if r.Passed != c.passed || r.Expected != c.expected || r.Actual != c.actual || strings.Join(r.Evidence, " ") != c.evidence {
			t.Errorf("%s %s:\n got %v %q; %q; %v\nwant %v %q; %q; [%s]", c.check, c.params, r.Passed, r.Expected, r.Actual, r.Evidence, c.passed, c.expected, c.actual, c.evidence)
		}
	}
}

// CLM-7
func TestParametersOfOurChecksAreRefusedWithTheirCard(t *testing.T) {
	for _, c := range []struct{ check, params, says string }{
		{"receipt_count_le", `{}`, "missing param 'max_count'"},
		{"receipt_count_le", `{"max_count":1.0}`, "whole number"},
		{"receipt_count_le", `{"max_count":-1}`, "whole number"},
		{"receipt_count_le", `{"max_count":9007199254740992}`, "whole number"},
		{"receipt_count_le", `{"max_count":true}`, "whole number"},
		{"receipt_count_le", `{"max_count":1,"recept_type":"x"}`, "unknown param 'recept_type'"},
		{"receipt_count_le", `{"max_count":1,"receipt_type":null}`, "param 'receipt_type' is not a string"},
		{"receipt_count_le", `{"max_count":1,"receipt_type":""}`, "1 to 256 bytes"},
		{"receipt_count_between", `{"min_count":2,"max_count":1}`, "larger"},
		{"field_present", `{}`, "missing param 'field_name'"},
		{"field_present", `{"field_name":"a","allow_none":1}`, "true or false"},
		{"field_in", `{"field_name":"a","allowed":[]}`, "list of 1 to 1024"},
		{"field_in", `{"field_name":"a","allowed":"b"}`, "list of 1 to 1024"},
		{"field_in", `{"field_name":"a","allowed":[null]}`, "no string, number"},
		{"field_in", `{"field_name":"a","allowed":[[1]]}`, "no string, number"},
		{"field_matches", `{"field_name":"a","pattern":""}`, "1 to 256 bytes"},
		{"field_matches", `{"field_name":"a","pattern":"` + strings.Repeat("a", 257) + `"}`, "1 to 256 bytes"},
		{"field_matches", `{"field_name":"a","pattern":"("}`, "not an RE2 pattern: missing closing )"},
		{"field_matches", `{"field_name":"a","pattern":"a)|(b"}`, "not an RE2 pattern: unexpected )"},
		{"field_matches", `{"field_name":"a","pattern":"\\Qa"}`, "not an RE2 pattern"},
		{"field_matches", `{"field_name":"a","pattern":"(?=a)"}`, "not an RE2 pattern"},
		{"field_matches", `{"field_name":"a","pattern":"a{1001}"}`, "not an RE2 pattern: invalid repeat count"},
		{"field_matches", `{"field_name":"a","pattern":"(` + strings.Repeat("a", 240) + `){1000}"}`, "too large"},
		{"field_matches", `{"field_name":"a","pattern":"` + strings.Repeat(`\\pL`, 60) + `"}`, "too large"},
		{"numeric_ge", `{"field_name":"a","min":"1"}`, "not a number"},
		{"numeric_ge", `{"field_name":"a","min":true}`, "not a number"},
		{"numeric_le", `{"field_name":"a","max":` + strings.Repeat("9", 65) + `}`, "finite number"},
		{"numeric_le", `{"field_name":"a","max":1e400}`, "finite number"},
		{"every_has", `{"receipt_type":"a","has_type":"b","order":"near"}`, "not 'any'"},
		{"every_has", `{"receipt_type":"a","has_type":"a","link_field":"x","has_link_field":"x"}`, "linked to itself"},
		{"every_has", `{"receipt_type":"a"}`, "missing param 'has_type'"},
		{"model_allowlist", `{"allowed":["*"]}`, "allows every model"},
		{"model_allowlist", `{"allowed":["a",1]}`, "no text"},
		{"token_max", `{"max_tokens":1,"per":"day"}`, "not 'pack'"},
		{"latency_p95_le", `{}`, "missing param 'max_ms'"},
		{"error_rate_le", `{"max_rate":1.5}`, "0 to 1"},
		{"error_rate_le", `{"max_rate":-0.1}`, "at least 0"},
		{"no_gap_in_seq", `{"start":-1}`, "whole number"},
		{"ratio", `{"receipt_type":"a","of_type":"b"}`, "neither"},
		{"ratio", `{"receipt_type":"a","of_type":"a","min_ratio":1}`, "to itself"},
		{"ratio", `{"receipt_type":"a","of_type":"b","min_ratio":2,"max_ratio":1}`, "larger"},
		{"ratio", `{"receipt_type":"a","of_type":"b","min_ratio":2,"field_name":"x"}`, "missing param 'expected_value'"},
		{"ratio", `{"receipt_type":"a","of_type":"b","min_ratio":2,"expected_value":null,"field_name":"x"}`, "no string, number"},
		{"proxy_completeness", `{"counted_types":[]}`, "list of 1"},
	} {
		r := judgeOne(t, c.check, c.params, calls)
		if r.Passed || r.Expected != "valid params for check '"+c.check+"'" || !strings.Contains(r.Actual, c.says) {
			t.Errorf("%s %s: %+v, want %s", c.check, c.params, r, c.says)
		}
		_, err := ParseCard([]byte(`{"card_id":"a","name":"a","claims":[{"claim_id":"a","check":"` + c.check + `","params":` + c.params + `}]}`))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s: a card with it: %v", c.check, c.params, err)
		}
	}
}

// One hash of claims must not stand for two verdicts: spellings of one number that have one canonical form
// are one number, with one text.
// PCK-36
func TestSpellingsOfANumberAreOneClaim(t *testing.T) {
	for _, c := range []struct {
		check, a, b, lines string
	}{
		{"numeric_le", `{"field_name":"n","max":1}`, `{"field_name":"n","max":1.0}`, `{"n":1}`},
		{"numeric_le", `{"field_name":"n","max":123456789012345680000}`, `{"field_name":"n","max":123456789012345680000.0}`, `{"n":123456789012345682000}`},
		{"error_rate_le", `{"max_rate":0.1}`, `{"max_rate":0.1000000000000000055511151231257827}`, "{\"type\":\"model_call\",\"error\":1}" + strings.Repeat("\n{\"type\":\"model_call\"}", 9)},
		{"field_in", `{"field_name":"n","allowed":[1e2]}`, `{"field_name":"n","allowed":[100]}`, `{"n":100.0}`},
		{"latency_p95_le", `{"max_ms":5}`, `{"max_ms":5.00}`, `{"type":"model_call","latency_ms":5}`},
		{"ratio", `{"receipt_type":"a","of_type":"b","min_ratio":0.5}`, `{"receipt_type":"a","of_type":"b","min_ratio":5E-1}`, "{\"type\":\"a\"}\n{\"type\":\"b\"}\n{\"type\":\"b\"}"},
	} {
		x, y := judgeOne(t, c.check, c.a, c.lines), judgeOne(t, c.check, c.b, c.lines)
		if !reflect.DeepEqual(x, y) {
			t.Errorf("%s %s and %s: %+v and %+v", c.check, c.a, c.b, x, y)
		}
	}
	if r := judgeOne(t, "error_rate_le", `{"max_rate":0.1}`, "{\"type\":\"model_call\",\"error\":1}"+strings.Repeat("\n{\"type\":\"model_call\"}", 9)); !r.Passed {
		t.Errorf("one in ten is not one tenth: %+v", r)
	}
}

// TestThePercentileIsTheNearestRank holds it against the definition: the smallest value that at least 95
// of 100 do not exceed.
func TestThePercentileIsTheNearestRank(t *testing.T) {
	for n := 1; n <= 130; n++ {
		values := rand.New(rand.NewPCG(uint64(n), 0)).Perm(n)
		c := &latencyCheck{most: claimNumber{text: "0", Number: python.Number{IsInt: true, Integer: "0"}, fits: true}}
		for _, v := range values {
			c.found, c.values = c.found+1, append(c.values, float64(v))
		}
		want := 0
		for want = range n { // want+1 of n do not exceed want
			if float64(want+1) >= 0.95*float64(n)-1e-9 {
				break
			}
		}
		if got := c.answer().Actual; got != fmt.Sprintf("%d in %d", want, n) {
			t.Errorf("%d values: %s, want %d", n, got, want)
		}
	}
}

func TestEveryHasFindsLinksInAnyOrder(t *testing.T) {
	// Up to five receipts, each of type a or b, naming one of two things: all of them.
	kinds := []string{`{"type":"a","k":1}`, `{"type":"a","k":"x"}`, `{"type":"b","k":1}`, `{"type":"b","k":"x"}`, `{"type":"a"}`}
	for n := range 6 {
		for code := range int(math.Pow(5, float64(n))) {
			var receipts []jcs.Value
			for i, c := 0, code; i < n; i, c = i+1, c/5 {
				receipts = append(receipts, jcstest.Parse(t, strings.Replace(kinds[c%5], "{", fmt.Sprintf(`{"receipt_id":"r%d",`, i), 1)))
			}
			for _, order := range []string{"any", "before", "after"} {
				r := judge([]Claim{{Check: "every_has", Severity: "critical", Params: jcstest.Parse(t,
					`{"receipt_type":"a","has_type":"b","link_field":"k","has_link_field":"k","order":"`+order+`"}`)}}, receipts...)[0]
				want, total := lonely(receipts, order)
				if total > 0 && (r.Actual != fmt.Sprintf("%d without out of %d", len(want), total) || strings.Join(r.Evidence, " ") != strings.Join(want, " ")) {
					t.Fatalf("%v %s: %+v, want %v", receipts, order, r, want)
				}
			}
		}
	}
}

// lonely is every_has by its definition.
func lonely(receipts []jcs.Value, order string) (ids []string, total int) {
	for i, a := range receipts {
		if form.Str(a, "type") != "a" {
			continue
		}
		total++
		k, named := a.Get("k")
		found := false
		for j, b := range receipts {
			l, _ := b.Get("k")
			if named && form.Str(b, "type") == "b" && reflect.DeepEqual(k, l) && (order == "any" || order == "before" == (j < i)) {
				found = true
			}
		}
		if !found {
			ids = append(ids, form.Str(a, "receipt_id"))
		}
	}
	return ids, total
}

// Threat K06: patterns that keep backtracking matchers busy for ever.
// CLM-22
func TestAtk_K06_PatternsTakeBoundedEffort(t *testing.T) {
	patterns := []string{
		`(a+)+`, `([a-zA-Z]+)*`, `(a|aa)+`, `(a|a?)+`, `(.*a){20}`, `(a*)*b`, `(a+)+$`, `^(a+)+$`, `(x+x+)+y`, `(.*)*`,
		`(([a-z])+.)+[A-Z]([a-z])+`, `^(([a-z])+.)+[A-Z]([a-z])+$`, `(\d+)*\d+x`, `(a?){50}a{50}`, `((a{0,5}){0,5}){0,5}`,
		`^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}(([a-z]{2,3})|([a-z]{2,3}[.]{1}[a-z]{2,3}))$`,
		`(\w+\s?)*`, `^\s*(\S+\s*)*$`, `(a|b|ab)*c`, `((((a+)+)+)+)+b`, `(?:(?:a*)*)*b`, `(a{1,100}){1,10}b`,
	}
	if len(patterns) < 20 {
		t.Fatal("the threat names 20 patterns")
	}
	subject := strings.Repeat("a", maxSubject-1) + "!"
	start := time.Now()
	for _, text := range patterns {
		claim := Claim{ID: "c", Check: "field_matches", Severity: "critical", Params: jcs.Obj(jcs.M("field_name", jcs.Str("v")), jcs.M("pattern", jcs.Str(text)))}
		if problem := claim.problem(); problem != "" {
			t.Errorf("%s: %s", text, problem)
		}
		run := NewRun([]Claim{claim})
		for range 3 {
			run.Add(jcs.Obj(jcs.M("receipt_id", jcs.Str("r")), jcs.M("v", jcs.Str(subject))))
		}
		r := run.Results()[0]
		t.Logf("%s: %s: %s", time.Since(start), text, r.Actual)
		if r.Passed && text != `(.*)*` && text != `^\s*(\S+\s*)*$` {
			t.Errorf("%s: %+v", text, r)
		}
	}
	// Nothing here is a limit of time; but a matcher that backtracks would not come back at all.
	if took := time.Since(start); took > time.Minute {
		t.Errorf("%s", took)
	}
	for _, text := range []string{`(a{0,100}){0,100}`, `a{0,100}{0,100}`, `((a{10}){10}){11}`, `a{1001}`, `(?:a{32}){32}`} {
		claim := Claim{Check: "field_matches", Severity: "critical", Params: jcs.Obj(jcs.M("field_name", jcs.Str("v")), jcs.M("pattern", jcs.Str(text)))}
		if problem := claim.problem(); !strings.Contains(problem, "not an RE2 pattern") {
			t.Errorf("%s is compiled: %q", text, problem)
		}
	}
}

func TestTextsThatAreTooLongMatchNothing(t *testing.T) {
	for n, want := range map[int]bool{maxSubject: true, maxSubject + 1: false} {
		r := judge([]Claim{{Check: "field_matches", Severity: "critical", Params: jcstest.Parse(t, `{"field_name":"v","pattern":"a*"}`)}},
			jcs.Obj(jcs.M("v", jcs.Str(strings.Repeat("a", n)))))[0]
		if r.Passed != want {
			t.Errorf("%d bytes: %+v", n, r)
		}
	}
}

// The effort is one for all claims of a pack, and is counted: the same claims give up at the same receipt.
// CLM-23
func TestPatternsGiveUpTogetherAndAlwaysAtTheSameReceipt(t *testing.T) {
	costly := jcstest.Parse(t, `{"field_name":"v","pattern":"(a|b|c){300}x"}`)
	claims := []Claim{{ID: "a", Check: "field_matches", Severity: "critical", Params: costly}, {ID: "b", Check: "field_matches", Severity: "critical", Params: costly}}
	long := jcs.Obj(jcs.M("v", jcs.Str(strings.Repeat("z", maxSubject))))
	judgeAll := func() []Result {
		run := NewRun(claims)
		for range 40 {
			run.Add(long)
		}
		return run.Results()
	}
	first := judgeAll()
	for _, r := range first {
		if r.Passed || !strings.HasPrefix(r.Actual, "gave up after ") {
			t.Errorf("%+v", r)
		}
	}
	if again := judgeAll(); !reflect.DeepEqual(first, again) {
		t.Errorf("%+v, then %+v", first, again)
	}
}

// CLM-22
func TestThePatternsOfAllClaimsAreBoundedTogether(t *testing.T) {
	var claims []Claim
	for range MaxClaims {
		claims = append(claims, Claim{ID: "c", Check: "field_matches", Severity: "critical",
			Params: jcstest.Parse(t, `{"field_name":"v","pattern":"(`+strings.Repeat("a", 5)+`){1000}"}`)})
	}
	rs := judge(claims, jcs.Obj(jcs.M("v", jcs.Str("b"))))
	refused := 0
	for i, r := range rs {
		if strings.Contains(r.Actual, "too large") {
			refused++
		} else if refused > 0 {
			t.Fatalf("claim %d is judged after one that was refused: %+v", i, r)
		}
	}
	if refused == 0 || refused == len(rs) {
		t.Errorf("%d of %d are refused", refused, len(rs))
	}
}

func TestAMillionReceiptsNeedLittleMemory(t *testing.T) {
	if testing.Short() || racetest.Enabled {
		t.Skip("slow")
	}
	run := NewRun([]Claim{
		{Check: "latency_p95_le", Severity: "critical", Params: jcstest.Parse(t, `{"max_ms":1}`)},
		{Check: "no_gap_in_seq", Severity: "critical", Params: jcstest.Parse(t, `{}`)},
		{Check: "every_has", Severity: "critical", Params: jcstest.Parse(t, `{"receipt_type":"model_call","has_type":"refusal"}`)},
	})
	receipt := jcs.Obj(jcs.M("receipt_id", jcs.Str("")), jcs.M("type", jcs.Str("model_call")), jcs.M("seq", jcs.Int(0)), jcs.M("latency_ms", jcs.Int(7)))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 1_000_000 {
		receipt.Members[0].Value.Text = fmt.Sprintf("r_%d", i)
		receipt.Members[2].Value.Text = fmt.Sprint(i)
		run.Add(receipt)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 100<<20 {
		t.Errorf("%d MiB are kept of a million receipts", kept>>20)
	}
	if rs := run.Results(); rs[0].Actual != "7 in 1000000" || !rs[1].Passed || rs[2].Actual != "1000000 without out of 1000000" {
		t.Errorf("%+v", rs)
	}
}

func TestEveryPredicateIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for i, p := range Predicates() {
		if seen[p.Name] || p.Summary == "" || p.Reference != (i < 7) {
			t.Errorf("%+v", p)
		}
		seen[p.Name] = true
		for _, param := range p.Params {
			if param.Meaning == "" || seen[p.Name+" "+param.Name] {
				t.Errorf("%s: %+v", p.Name, param)
			}
			seen[p.Name+" "+param.Name] = true
			// What is required is missed when it is absent.
			if r := judgeOne(t, p.Name, `{}`, ``); param.Required && !strings.Contains(r.Actual, "missing param") {
				t.Errorf("%s without %s: %+v", p.Name, param.Name, r)
			}
		}
	}
}

// FuzzPredicates asks every check with any parameters of any receipts: it answers, the same each time.
func FuzzPredicates(f *testing.F) {
	f.Add(`{"receipt_type":"model_call","field_name":"latency_ms","max":200,"min":1,"max_ms":5,"pattern":"a+","allowed":["a",1],"max_count":3,"min_count":1,"max_tokens":5,"max_rate":0.5,"of_type":"x","min_ratio":1,"has_type":"refusal","expected_value":1}`, calls)
	f.Add(`{"field_name":"seq","allowed":[1e400],"start":null,"counted_types":["a"]}`, `{"seq":1e400}`)
	f.Fuzz(func(t *testing.T, params, lines string) {
		p, err := jcs.Parse([]byte(params), jcs.Limits{})
		if err != nil {
			return
		}
		var receipts []jcs.Value
		for line := range strings.Lines(lines) {
			if v, err := jcs.Parse([]byte(line), jcs.Limits{}); err == nil {
				receipts = append(receipts, v)
			}
		}
		var claims []Claim
		for _, known := range Predicates() {
			own := jcs.Obj() // only what this check knows, or all would be refused
			for _, m := range p.Members {
				for _, param := range known.Params {
					if param.Name == m.Name {
						own.Members = append(own.Members, m)
					}
				}
			}
			claims = append(claims, Claim{ID: known.Name, Check: known.Name, Severity: "critical", Params: own},
				Claim{ID: known.Name, Check: known.Name, Severity: "warning", Params: p})
		}
		first, second := NewRun(claims), NewRun(claims)
		for _, r := range receipts {
			first.Add(r)
			second.Add(r)
			second.Results() // asking changes nothing
		}
		if a, b := first.Results(), second.Results(); !reflect.DeepEqual(a, b) {
			t.Errorf("%+v, then %+v", a, b)
		}
	})
}

// allPredicates is a claim for each check, with parameters that most receipts of a benchmark meet.
func allPredicates(t testing.TB) (claims []Claim) {
	for name, params := range map[string]string{
		"receipt_type_present": `{"receipt_type":"model_call"}`, "no_receipt_type": `{"receipt_type":"breakglass"}`,
		"receipt_count_ge": `{"min_count":1}`, "timestamps_monotonic": `{}`,
		"field_value_matches": `{"receipt_type":"model_call","field_name":"schema_version","expected_value":"3.0"}`,
		"coverage_contract":   `{}`, "posture_eligible": `{}`,
		"receipt_count_le": `{"max_count":100000}`, "receipt_count_between": `{"min_count":1,"max_count":100000}`,
		"field_present": `{"field_name":"provider"}`, "field_in": `{"field_name":"provider","allowed":["openai","anthropic"]}`,
		"field_matches": `{"field_name":"model_id","pattern":"gpt-[0-9a-z.-]+|m"}`,
		"numeric_ge":    `{"field_name":"latency_ms","min":0}`, "numeric_le": `{"field_name":"latency_ms","max":60000}`,
		"every_has":       `{"receipt_type":"model_call","has_type":"model_call","has_link_field":"provider"}`,
		"model_allowlist": `{"allowed":["m","gpt-*"]}`, "token_max": `{"max_tokens":1000000000}`,
		"latency_p95_le": `{"max_ms":1000}`, "error_rate_le": `{"max_rate":0.05}`, "no_gap_in_seq": `{}`, "timestamps_in_order": `{}`,
		"ratio":              `{"receipt_type":"guardian_verdict","of_type":"model_call","min_ratio":0}`,
		"proxy_completeness": `{"counted_types":["model_call"]}`,
	} {
		claims = append(claims, Claim{ID: name, Check: name, Severity: "critical", Params: jcstest.Parse(t, params)})
	}
	if len(claims) != len(predicateTable) {
		t.Fatalf("%d claims for %d checks", len(claims), len(predicateTable))
	}
	return claims
}

func BenchmarkClaims(b *testing.B) {
	claims := allPredicates(b)
	receipts := make([]jcs.Value, 10_000)
	for i := range receipts {
		receipts[i] = jcstest.Parse(b, fmt.Sprintf(`{"receipt_id":"r_%d","type":"model_call","timestamp":"2026-01-15T11:00:00.%06d+00:00","schema_version":"3.0","seq":%d,
			"provider":"openai","model_id":"m","input_tokens":10,"output_tokens":20,"total_tokens":30,"latency_ms":%d}`, i, i, i, i%977))
	}
	b.ReportAllocs()
	for b.Loop() {
		if rs := judge(claims, receipts...); len(rs) != len(claims) {
			b.Fatal("results are missing")
		}
	}
}

// The names that a predicate documents are the names that it reads: each is taken, and is missed or refused where it is wrong.
func TestEveryPredicateTakesTheParametersThatItNames(t *testing.T) {
	for name, all := range map[string]string{
		"receipt_type_present":  `{"receipt_type":"a"}`,
		"no_receipt_type":       `{"receipt_type":"a"}`,
		"receipt_count_ge":      `{"min_count":1}`,
		"timestamps_monotonic":  `{}`,
		"field_value_matches":   `{"receipt_type":"a","field_name":"f","expected_value":1}`,
		"coverage_contract":     `{"contract_path":"a.json","min_coverage":0.5}`,
		"posture_eligible":      `{"required_posture":"CLEAN"}`,
		"receipt_count_le":      `{"max_count":1,"receipt_type":"a"}`,
		"receipt_count_between": `{"min_count":1,"max_count":2,"receipt_type":"a"}`,
		"field_present":         `{"field_name":"f","receipt_type":"a","allow_none":true}`,
		"field_in":              `{"field_name":"f","allowed":["x"],"receipt_type":"a","allow_none":true}`,
		"field_matches":         `{"field_name":"f","pattern":"x","receipt_type":"a","allow_none":true}`,
		"numeric_ge":            `{"field_name":"f","min":1,"receipt_type":"a","allow_none":true}`,
		"numeric_le":            `{"field_name":"f","max":1,"receipt_type":"a","allow_none":true}`,
		"every_has":             `{"receipt_type":"a","has_type":"b","link_field":"f","has_link_field":"g","order":"any","allow_none":true}`,
		"model_allowlist":       `{"allowed":["x"],"receipt_type":"a","field_name":"f","allow_none":true}`,
		"token_max":             `{"max_tokens":1,"per":"pack","receipt_type":"a","allow_missing":true,"allow_none":true}`,
		"latency_p95_le":        `{"max_ms":1,"field_name":"f","receipt_type":"a","allow_missing":true,"allow_none":true}`,
		"error_rate_le":         `{"max_rate":0.5,"receipt_type":"a","allow_none":true}`,
		"timestamps_in_order":   `{"receipt_type":"a","allow_none":true}`,
		"no_gap_in_seq":         `{"field_name":"f","start":0,"receipt_type":"a","allow_none":true}`,
		"ratio":                 `{"receipt_type":"a","of_type":"b","min_ratio":0.1,"max_ratio":0.9,"field_name":"f","expected_value":1,"allow_none":true}`,
		"proxy_completeness":    `{"receipt_type":"a","counted_types":["b"]}`,
	} {
		p, ok := PredicateNamed(name)
		params := jcstest.Parse(t, all)
		if !ok || len(p.Params) != len(params.Members) {
			t.Errorf("%s: %d parameters, want %d", name, len(p.Params), len(params.Members))
			continue
		}
		problem := func(params jcs.Value) string {
			return Claim{ID: "c", Check: name, Severity: "critical", Params: params}.problem()
		}
		if says := problem(params); says != "" {
			t.Errorf("%s: %s", name, says)
		}
		for i, m := range params.Members {
			if p.Params[i].Name != m.Name {
				t.Errorf("%s: parameter %q, want %q", name, p.Params[i].Name, m.Name)
			}
			needed := p.Params[i].Required || name == "ratio" && (m.Name == "field_name" || m.Name == "expected_value") // none without the other
			left := slices.Delete(slices.Clone(params.Members), i, i+1)
			if missed := problem(jcs.Obj(left...)) == "missing param '"+m.Name+"'"; missed != needed {
				t.Errorf("%s without %q: missed %v", name, m.Name, missed)
			}
		}
	}
	if n := len(Predicates()); n != 23 {
		t.Errorf("%d predicates, and 23 are looked at", n)
	}
}

// A path is looked at only where it is one: elsewhere the word means something else.
func TestOnlyACoverageContractIsAPath(t *testing.T) {
	elsewhere := Claim{ID: "c", Check: "receipt_count_ge", Severity: "critical", Params: jcstest.Parse(t, `{"min_count": 1, "contract_path": "/etc/passwd"}`)}
	if err := elsewhere.refuse(); err != nil {
		t.Errorf("%s: %v", elsewhere.Check, err)
	}
	coverage := elsewhere
	coverage.Check = CoverageCheck
	if err := coverage.refuse(); err == nil {
		t.Error("a contract outside of the directory is read")
	}
}
