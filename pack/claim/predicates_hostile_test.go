package claim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/pack/internal/form"
)

// hostile are values that a member may have instead of what a check wants; "missing" is none.
var hostile = []string{"missing", "null", `""`, `"NaN"`, `"Infinity"`, `"1"`, `"9999999"`, `" 1"`, `"0x1"`, "true", "false", "-1", "-0", "0.5", "1e308",
	"9007199254740993", "123456789012345678901234567890", "[]", "[1]", "{}", `{"a":1}`, `"\u0000"`, `"\u202e1"`}

// TestEveryCheckMeetsHostileValues says of every check which hostile values of the member it looks at let the
// claim pass. What is not listed fails; none of them makes it panic or change its mind.
func TestEveryCheckMeetsHostileValues(t *testing.T) {
	all := func(but ...string) (list []string) {
		for _, v := range hostile {
			if !slices.Contains(but, v) {
				list = append(list, v)
			}
		}
		return list
	}
	asked := map[string]bool{}
	numbers := []string{"-1", "-0", "0.5", "1e308", "9007199254740993", "123456789012345678901234567890"}
	for _, c := range []struct {
		check, params, member, typ string
		pass                       []string
	}{
		{"receipt_type_present", `{"receipt_type":"model_call"}`, "x", "model_call", all()}, // looks at the type alone
		{"no_receipt_type", `{"receipt_type":"refusal"}`, "x", "model_call", all()},
		{"receipt_count_ge", `{"min_count":1}`, "x", "model_call", all()},
		{"receipt_count_le", `{"max_count":1}`, "x", "model_call", all()},
		{"receipt_count_between", `{"min_count":1,"max_count":1}`, "x", "model_call", all()},
		{"timestamps_monotonic", `{}`, "timestamp", "model_call", all()}, // one receipt is in order, whatever it says: the reference's
		{"timestamps_in_order", `{}`, "timestamp", "model_call", nil},
		{"field_value_matches", `{"receipt_type":"model_call","field_name":"x","expected_value":1}`, "x", "model_call", []string{"true"}}, // True == 1: the reference's
		{"field_value_matches", `{"receipt_type":"model_call","field_name":"x","expected_value":null}`, "x", "model_call", []string{"missing", "null"}},
		{"posture_eligible", `{}`, "posture", "governance_posture_snapshot", nil},
		{"posture_eligible", `{"required_posture":"UNKNOWN"}`, "posture", "governance_posture_snapshot", all("null")}, // nobody knows the words
		{"coverage_contract", `{}`, "callsite_id", "model_call", nil},
		{"field_present", `{"field_name":"x"}`, "x", "model_call", all("missing", "null")},
		{"field_in", `{"field_name":"x","allowed":[1,"1"]}`, "x", "model_call", []string{`"1"`}},
		{"field_matches", `{"field_name":"x","pattern":"[0-9]+"}`, "x", "model_call", []string{`"1"`, `"9999999"`}},
		{"numeric_ge", `{"field_name":"x","min":-10}`, "x", "model_call", numbers},
		{"numeric_le", `{"field_name":"x","max":0}`, "x", "model_call", []string{"-1", "-0"}},
		{"model_allowlist", `{"allowed":["1","9*"]}`, "model_id", "model_call", []string{`"1"`, `"9999999"`}},
		{"token_max", `{"max_tokens":100}`, "total_tokens", "model_call", []string{"-0"}},
		{"token_max", `{"max_tokens":100,"allow_missing":true}`, "total_tokens", "model_call", []string{"missing", "null", "-0"}},
		{"token_max", `{"max_tokens":100,"per":"receipt","allow_missing":true}`, "input_tokens", "model_call", []string{"missing", "null", "-0"}},
		{"latency_p95_le", `{"max_ms":100}`, "latency_ms", "model_call", []string{"-0", "0.5"}},
		{"latency_p95_le", `{"max_ms":100,"allow_missing":true}`, "latency_ms", "model_call", []string{"-0", "0.5"}},
		{"error_rate_le", `{"max_rate":0}`, "error", "model_call", []string{"missing", "null", `""`, "false", "-0", "[]", "{}"}},
		{"error_rate_le", `{"max_rate":0}`, "outcome", "model_call", all(`"NaN"`, `"Infinity"`, `"9999999"`, "false", "1e308", "9007199254740993", "123456789012345678901234567890", `{"a":1}`)},
		{"error_rate_le", `{"max_rate":0}`, "status_code", "model_call", []string{"missing", "null", `"1"`, `" 1"`, "true", "-0", "0.5", "[]", "[1]", "{}"}},
		{"error_rate_le", `{"max_rate":0}`, "success", "model_call", []string{"missing", "null", `"1"`, `" 1"`, "true", "0.5", "1e308", "9007199254740993", "123456789012345678901234567890"}},
		{"no_gap_in_seq", `{}`, "seq", "model_call", []string{"-0"}},
		{"every_has", `{"receipt_type":"model_call","has_type":"model_call","link_field":"x","has_link_field":"y"}`, "x", "model_call", nil},
		{"ratio", `{"receipt_type":"model_call","of_type":"model_call","min_ratio":1,"field_name":"x","expected_value":true}`, "x", "model_call", []string{"true"}},
		{"proxy_completeness", `{}`, "requests_seen", "session_metadata", nil},
		{"proxy_completeness", `{}`, "not_intercepted", "session_metadata", []string{"missing", "null", `""`, "false", "-0", "[]", "{}"}},
	} {
		asked[c.check] = true
		var passed []string
		for _, value := range hostile {
			members := []string{`"receipt_id":"r"`, fmt.Sprintf(`"type":%q`, c.typ)}
			if c.typ == "session_metadata" {
				for _, name := range []string{"requests_seen", "receipts_written"} {
					if name != c.member {
						members = append(members, fmt.Sprintf(`%q:1`, name))
					}
				}
			}
			if value != "missing" {
				members = append(members, fmt.Sprintf("%q:%s", c.member, value))
			}
			line := "{" + strings.Join(members, ",") + "}"
			r := judgeOne(t, c.check, c.params, line)
			if again := judgeOne(t, c.check, c.params, line); !SameOutcome(r, again) || !form.IsPrintableASCII(r.Actual) && c.check != "posture_eligible" {
				t.Errorf("%s of %s: %q, then %q", c.check, line, r.Actual, again.Actual)
			}
			if r.Passed {
				passed = append(passed, value)
			}
		}
		if !slices.Equal(passed, c.pass) {
			t.Errorf("%s %s, %s: these pass\n\t%s\nwant\n\t%s", c.check, c.params, c.member, passed, c.pass)
		}
	}
	for _, p := range predicateTable {
		if !asked[p.Name] {
			t.Errorf("%s has no hostile values", p.Name)
		}
	}
}

// CLM-21
func TestAFigureThatCannotBeReadIsNotMissing(t *testing.T) {
	const fine = `{"receipt_id":"a","type":"model_call","total_tokens":1,"latency_ms":1}`
	for _, c := range []struct{ check, params, receipt, actual string }{
		{"token_max", `{"max_tokens":100,"allow_missing":true}`, `{"receipt_id":"b","type":"model_call","total_tokens":"9999999"}`, "1 tokens in 2, 1 malformed"},
		{"token_max", `{"max_tokens":100,"allow_missing":true,"per":"receipt"}`, `{"receipt_id":"b","type":"model_call","total_tokens":1,"output_tokens":-5}`, "0 of 2 above, the largest 1, 1 malformed"},
		{"latency_p95_le", `{"max_ms":100,"allow_missing":true}`, `{"receipt_id":"b","type":"model_call","latency_ms":"99999"}`, "1 in 2, 1 malformed"},
	} {
		if r := judgeOne(t, c.check, c.params, fine+"\n"+c.receipt); r.Passed || r.Actual != c.actual || !slices.Contains(r.Evidence, "b") {
			t.Errorf("%s: %+v", c.check, r)
		}
		missing := `{"receipt_id":"b","type":"model_call","total_tokens":null}`
		if r := judgeOne(t, c.check, c.params, fine+"\n"+missing); !r.Passed || !strings.HasSuffix(r.Actual, ", 1 without") {
			t.Errorf("%s: %+v", c.check, r)
		}
	}
}

// CLM-19
func TestErrorsAreFoundHoweverTheyAreSpelled(t *testing.T) {
	for members, failed := range map[string]bool{
		`"error":"boom"`: true, `"error":null`: false, `"Error":"boom"`: true, `"error_message":"boom"`: true, `"errorMessage":"x"`: true, `"errors":["x"]`: true, `"errors":[]`: false,
		`"exception":"ValueError"`: true, `"exception":"none"`: false, `"is_error":true`: true, `"is_error":"true"`: true, `"is_error":"false"`: false, `"result_is_error":1`: true,
		`"finish_reason":"error"`: true, `"finish_reason":"ERROR"`: true, `"finishReason":"Error"`: true, `"finish_reason":"stop"`: false, `"finish_reason":"length"`: false,
		`"outcome":"failed"`: true, `"outcome":"time_out"`: true, `"outcome":"Failure"`: true, `"outcome":"denied"`: false, `"outcome":"forwarded"`: false,
		`"status":"error"`: true, `"status":"ok"`: false, `"success":false`: true, `"success":"no"`: true, `"success":true`: false, `"ok":0`: true, `"ok":null`: false,
		`"status_code":500`: true, `"status_code":404`: true, `"status_code":200`: false, `"http_status":"500"`: true,
		`"status":500`: true, `"status":"500"`: true, `"status_code":"500"`: true, `"status":"404 Not Found"`: true, `"status":"error: quota exceeded"`: true, `"status":"error\n"`: true,
		`"status":"error\t"`: true, `"status":" ERROR "`: true, `"status":["error"]`: true, `"status":["stop"]`: false, `"success":"f"`: true, `"success":"off"`: true, `"success":"yes"`: false, `"success":"T"`: false,
		`"status_code":1e300`: true, `"status_code":500.5`: true, `"statusCode":" 503 "`: true, `"status_code":"5e2"`: true, `"status_code":["200",500]`: true, `"status_code":"99999999999999999999"`: true,
		`"status_code":null`: false, `"status_code":"200 OK"`: false, `"status_code":"200"`: false, `"status_code":204.0`: false, `"status":200`: false, `"status":"200 OK"`: false, `"status":"HTTP/1.1 500 x"`: true,
		`"status":"HTTP 200"`: false, `"status":"[failed] x"`: true, `"status":"RateLimitError"`: true, `"status":"internal_server_error"`: true, `"status":"no_error"`: false, `"status":"not failed"`: false,
		`"status":false`: true, `"status":true`: false, `"status":"completed"`: false, `"Status\n":"failed"`: true, `"finish_reason":["error"]`: true, `"finish_reason":"timeout: 30 s"`: true,
		`"finish_reason":"content_filter"`: false, `"success":1`: false, `"success":"failed"`: true, `"http_status_code":418`: true, `"response_code":"Error"`: true, `"failed":true`: true, `"note":"error"`: false,
	} {
		r := judgeOne(t, "error_rate_le", `{"max_rate":0}`, `{"receipt_id":"r","type":"model_call",`+members+`}`)
		if r.Passed == failed || r.Actual != map[bool]string{true: "1 of 1", false: "0 of 1"}[failed] {
			t.Errorf("%s: %+v", members, r)
		}
	}
}

// What should say how a call ended, and cannot be read, does not say that it went well.
func TestAnOutcomeThatCannotBeReadIsMalformedAndNotFine(t *testing.T) {
	for _, members := range []string{`"status_code":"many"`, `"status_code":{"code":200}`, `"status_code":-1`, `"status_code":""`, `"success":"perhaps"`, `"success":[1]`, `"success":{"x":1}`,
		`"success":-1`, `"status":{"code":500}`, `"status":[[[[["x"]]]]]`, `"http_status":"\uff15\uff10\uff10"`} {
		r := judgeOne(t, "error_rate_le", `{"max_rate":1}`, `{"receipt_id":"r","type":"model_call",`+members+`}`)
		if r.Passed || r.Actual != "0 of 1, 1 malformed" || !slices.Equal(r.Evidence, []string{"r"}) {
			t.Errorf("%s: %+v", members, r)
		}
	}
}

// The reference's card compares texts: 12:00+02:00 stands behind 10:30Z there, and is before it.
func TestInstantsAreComparedWhateverTheirOffsets(t *testing.T) {
	for _, c := range []struct {
		times  string
		passed bool
		actual string
	}{
		{"2026-01-15T10:00:00Z 2026-01-15T12:30:00+02:00", true, "0 go back in 2"},
		{"2026-01-15T10:30:00Z 2026-01-15T12:00:00+02:00", false, "1 go back in 2"},
		{"2026-01-15T10:00:00.5Z 2026-01-15T10:00:00.49+00:00 2026-01-15T10:00:01Z", false, "1 go back in 3"},
		{"2026-01-15T10:00:00Z 2026-01-15T10:00:00.0Z", true, "0 go back in 2"},
		{"2026-01-15T10:00:00 2026-01-15T11:00:00Z", false, "0 go back in 2, 1 without"},
		{"2026-01-15T10:00:00Z yesterday 2026-01-15T09:00:00Z", false, "1 go back in 3, 1 without"},
	} {
		var lines []string
		for i, at := range strings.Fields(c.times) {
			lines = append(lines, fmt.Sprintf(`{"receipt_id":"r%d","type":"model_call","timestamp":%q}`, i, at))
		}
		if r := judgeOne(t, "timestamps_in_order", `{}`, strings.Join(lines, "\n")); r.Passed != c.passed || r.Actual != c.actual {
			t.Errorf("%s: %+v", c.times, r)
		}
	}
	if r := judgeOne(t, "timestamps_monotonic", `{}`, `{"timestamp":"2026-01-15T10:30:00Z"}`+"\n"+`{"timestamp":"2026-01-15T12:00:00+02:00"}`); !r.Passed {
		t.Errorf("the reference's check compares texts: %+v", r)
	}
}
