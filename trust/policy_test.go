package trust_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Haserjian/assay-ledger/trust"
	"github.com/Haserjian/assay-ledger/trust/trusttest"
)

// vkey returns the verifier key of a name and a seed.
func vkey(t testing.TB, name string, alg trust.Algorithm, seed byte) string {
	t.Helper()
	_, v, err := trust.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 32)), name, alg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// policyKeys replaces LOG1, LOG2, PQLOG, W1 … W4 and PQ by vkeys.
func policyKeys(t testing.TB) *strings.Replacer {
	return strings.NewReplacer(
		"PQLOG", vkey(t, "example.com/pqlog", trust.MLDSA44Cosigner, 3),
		"LOG1AGAIN", vkey(t, "example.com/log1", trust.Ed25519, 2),
		"LOG1", vkey(t, "example.com/log1", trust.Ed25519, 1),
		"LOG2", vkey(t, "example.com/log2", trust.Ed25519, 2),
		"W1", vkey(t, "w1.example", trust.Ed25519Cosigner, 11),
		"W2", vkey(t, "w2.example", trust.Ed25519Cosigner, 12),
		"W3", vkey(t, "w3.example", trust.Ed25519Cosigner, 13),
		"W4", vkey(t, "w4.example", trust.Ed25519Cosigner, 14),
		"SAMEASW1", vkey(t, "another.example", trust.Ed25519Cosigner, 11),
		"SAMEASLOG1", vkey(t, "example.com/another", trust.Ed25519, 1),
		"SAMEASPQ", vkey(t, "another.example", trust.MLDSA44Cosigner, 15),
		"SHARED", vkey(t, "example.com/log1", trust.Ed25519Cosigner, 1),
		"PQ", vkey(t, "pq.example", trust.MLDSA44Cosigner, 15),
	)
}

// ENT-34
func TestPoliciesThatAreAccepted(t *testing.T) {
	keys := policyKeys(t)
	for name, text := range map[string]string{
		"quorum none alone":                  "quorum none\n",
		"log without URL":                    "log LOG1\nquorum none\n",
		"log with URL":                       "log LOG1 https://log.example.com/prefix\nquorum none\n",
		"URL with port":                      "log LOG1 http://127.0.0.1:8080\nquorum none\n",
		"international URL":                  "log LOG1 https://пример.example/\nquorum none\n",
		"post-quantum log":                   "log PQLOG\nquorum none\n",
		"witness quorum":                     "witness a W1\nquorum a\n",
		"witness that no quorum asks for":    "witness a W1\nquorum none\n",
		"both algorithms":                    "witness a W1\nwitness b PQ https://pq.example\ngroup g all a b\nquorum g\n",
		"comments and blank lines":           "# comment\n\n \t \n \t# quorum none\nquorum none\n\n#\n",
		"tabs and leading, trailing spaces":  " \tlog\t \tLOG1 \t\n\tquorum\tnone\t\n",
		"hash inside a name":                 "witness a#b W1\nquorum a#b\n",
		"log after quorum":                   "quorum none\nlog LOG1\n",
		"group after quorum":                 "witness a W1\nquorum a\ngroup g any a\n",
		"group of one":                       "witness a W1\ngroup g 1 a\nquorum g\n",
		"threshold of all":                   "witness a W1\nwitness b W2\ngroup g 2 a b\nquorum g\n",
		"group called all":                   "witness any W1\ngroup all any any\nquorum all\n",
		"quorum of a member":                 "witness a W1\nwitness b W2\ngroup g all a b\nquorum a\n",
		"names are opaque bytes":             "witness \xff\xfe W1\nwitness \xe2\x84\xaa W2\nwitness K W3\ngroup \xc2\xa0 all \xff\xfe \xe2\x84\xaa K\nquorum \xc2\xa0\n",
		"comment in bytes":                   "# \x80\xff\nquorum none\n",
		"two keys of one log":                "log LOG1\nlog LOG1AGAIN\nquorum none\n",
		"one Ed25519 key as log and witness": "log LOG1\nwitness a SHARED\nquorum a\n",
	} {
		text = keys.Replace(text)
		policy, err := trust.ParsePolicy([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if got, want := string(policy.Text()), withoutComments(text); got != want {
			t.Errorf("%s: Text is %q, want %q", name, got, want)
		}
	}
}

// withoutComments is a policy without comments, blank lines and other space than one between items.
func withoutComments(text string) string {
	var plain strings.Builder
	for line := range strings.Lines(text) {
		items := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
		if len(items) > 0 && items[0][0] != '#' {
			plain.WriteString(strings.Join(items, " ") + "\n")
		}
	}
	return plain.String()
}

// ENT-42
func TestWhatAPolicysKeeperNotedIsNotInItsText(t *testing.T) {
	keys := policyKeys(t)
	policy, err := trust.ParsePolicy([]byte(keys.Replace("# the pager is 555-0100\n\n  log\tLOG1   https://log.example\n#PRIVATE+KEY+log\nquorum none\n")))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(policy.Text()), keys.Replace("log LOG1 https://log.example\nquorum none\n"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// ENT-34, ENT-35, ENT-36, ENT-37, ENT-38, ENT-39
func TestPoliciesThatAreRefused(t *testing.T) {
	keys := policyKeys(t)
	for _, test := range []struct{ check, text, want string }{
		{"ENT-34", "quorum none", `line 1: no newline at the end`},
		{"ENT-34", "log LOG1\nquorum none # comment\n", `line 2: quorum takes one name`},
		{"ENT-34", "log LOG1 # comment\nquorum none\n", `line 1: log takes`},
		{"ENT-34", "log LOG1 #comment\nquorum none\n", `line 1: URL`},
		{"ENT-34", "quorum\u00a0none\n", `line 1: unknown keyword "quorum\u00a0none"`},
		{"ENT-34", "quorum\u2003none\n", `line 1: unknown keyword`},
		{"ENT-34", "quorum none\r\n", `line 1: control character 0x0d`},
		{"ENT-34", "\ufeffquorum none\n", `line 1: unknown keyword`},
		{"ENT-34", "# bell \x07\nquorum none\n", `line 1: control character 0x07`},
		{"ENT-34", "quorum none\n\x00\n", `line 2: control character 0x00`},
		{"ENT-34", "quorum\vnone\n", `line 1: control character 0x0b`},
		{"ENT-34", "quorum\fnone\n", `line 1: control character 0x0c`},
		{"ENT-34", "# \x7f\nquorum none\n", `line 1: control character 0x7f`},
		{"ENT-35", "logs LOG1\nquorum none\n", `line 1: unknown keyword "logs"`},
		{"ENT-35", "Log LOG1\nquorum none\n", `line 1: unknown keyword "Log"`},
		{"ENT-35", "log\nquorum none\n", `line 1: log takes`},
		{"ENT-35", "log LOG1 https://a.example https://b.example\nquorum none\n", `line 1: log takes`},
		{"ENT-35", "witness a\nquorum none\n", `line 1: witness takes`},
		{"ENT-35", "witness a W1 https://a.example x\nquorum none\n", `line 1: witness takes`},
		{"ENT-35", "witness W1\nquorum none\n", `line 1: witness takes`},
		{"ENT-35", "quorum\n", `line 1: quorum takes`},
		{"ENT-35", "witness a W1\nwitness b W2\nquorum a b\n", `line 3: quorum takes`},
		{"ENT-35", "", `no quorum line`},
		{"ENT-35", "log LOG1\n", `no quorum line`},
		{"ENT-35", "quorum none\nquorum none\n", `line 2: a second quorum line`},
		{"ENT-35", "witness a W1\nquorum a\nquorum none\n", `line 3: a second quorum line`},
		{"ENT-36", "witness none W1\nquorum none\n", `line 1: the name "none" is taken`},
		{"ENT-36", "witness a W1\ngroup none all a\nquorum none\n", `line 2: the name "none" is taken`},
		{"ENT-36", "witness a W1\ngroup g any a none\nquorum g\n", `line 2: group "g": none cannot be a member`},
		{"ENT-36", "quorum a\nwitness a W1\n", `line 1: quorum "a" is not defined above`},
		{"ENT-36", "witness a W1\ngroup g all a b\nwitness b W2\nquorum g\n", `line 2: group "g": member "b" is not defined above`},
		{"ENT-36", "witness a W1\ngroup g all g\nquorum g\n", `line 2: group "g": member "g" is not defined above`},
		{"ENT-36", "witness a W1\ngroup g all h\ngroup h all g\nquorum g\n", `line 2: group "g": member "h"`},
		{"ENT-36", "witness a W1\nwitness a W2\nquorum a\n", `line 2: the name "a" is taken`},
		{"ENT-36", "witness a W1\ngroup a all a\nquorum a\n", `line 2: the name "a" is taken`},
		{"ENT-36", "witness a W1\nwitness b W2\ngroup g all a\ngroup g all b\nquorum g\n", `line 4: the name "g" is taken`},
		{"ENT-36", "log LOG1\nquorum example.com/log1\n", `line 2: quorum "example.com/log1" is not defined above`},
		{"ENT-36", "witness a W1\nquorum A\n", `line 2: quorum "A" is not defined above`},
		{"ENT-37", "group g all\nquorum g\n", `line 1: group takes`},
		{"ENT-37", "group g 0\nquorum g\n", `line 1: group takes`},
		{"ENT-37", "witness a W1\ngroup g 0 a\nquorum g\n", `line 2: group "g" wants 0 of 1 members`},
		{"ENT-37", "witness a W1\nwitness b W2\ngroup eu 3 a b\nquorum eu\n", `policy line 3: group "eu" wants 3 of 2 members`},
		{"ENT-37", "witness a W1\ngroup g 01 a\nquorum g\n", `line 2: group "g" has the threshold "01"`},
		{"ENT-37", "witness a W1\ngroup g +1 a\nquorum g\n", `line 2: group "g" has the threshold "+1"`},
		{"ENT-37", "witness a W1\ngroup g -1 a\nquorum g\n", `line 2: group "g" has the threshold "-1"`},
		{"ENT-37", "witness a W1\ngroup g 0x1 a\nquorum g\n", `line 2: group "g" has the threshold`},
		{"ENT-37", "witness a W1\ngroup g ALL a\nquorum g\n", `line 2: group "g" has the threshold`},
		{"ENT-37", "witness a W1\ngroup g 18446744073709551617 a\nquorum g\n", `line 2: group "g" has the threshold`},
		{"ENT-37", "witness a W1\ngroup g 2 a a\nquorum g\n", `line 2: group "g": "a" is a member already`},
		{"ENT-37", "witness a W1\ngroup g all a\ngroup h all a\nquorum g\n", `line 3: group "h": "a" is a member already`},
		{"ENT-37", "witness a W1\ngroup g all a\ngroup h all g\ngroup i all g\nquorum g\n", `line 4: group "i": "g" is a member already`},
		{"ENT-38", "log LOG1\nlog LOG1\nquorum none\n", `line 2: another log has the public key`},
		{"ENT-38", "log LOG1\nlog SAMEASLOG1\nquorum none\n", `line 2: another log has the public key of "example.com/another"`},
		{"ENT-38", "witness a W1\nwitness b W1\nquorum a\n", `line 2: another witness has the public key`},
		{"ENT-38", "witness a W1\nwitness b SAMEASW1\nquorum a\n", `line 2: another witness has the public key of "another.example"`},
		{"ENT-38", "witness a PQ\nwitness b SAMEASPQ\nquorum a\n", `line 2: another witness has the public key`},
		{"ENT-38", "log W1\nquorum none\n", `line 1: a log key is of type 0x01 or 0x06, not 0x04`},
		{"ENT-38", "witness a LOG1\nquorum a\n", `line 1: a witness key is of type 0x04 or 0x06, not 0x01`},
		{"ENT-38", "log PQ\nwitness a PQ\nquorum a\n", `line 2: another key has the name "pq.example" and the ID`},
		{"ENT-38", "witness a PQ\nlog PQ\nquorum a\n", `line 2: another key has the name "pq.example" and the ID`},
		{"ENT-39", "log LOG1 log.example.com\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 /prefix\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 //log.example.com\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 ftp://log.example.com\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 file:///etc\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 https:///path\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 https://:80/path\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 https:log.example.com\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 https://log.example.com?\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 https://log.example.com/?a=b\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 https://log.example.com/#\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "log LOG1 https://user:secret@log.example.com/\nquorum none\n", `line 1: URL is not`},
		{"ENT-39", "witness a W1 https://%zz\nquorum a\n", `line 1: URL is not`},
	} {
		_, err := trust.ParsePolicy([]byte(keys.Replace(test.text)))
		if err == nil {
			t.Errorf("%s: accepted %q", test.check, test.text)
		} else if !strings.HasPrefix(err.Error(), "policy") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %q\n got %v\nwant %s", test.check, test.text, err, test.want)
		}
	}
}

// ENT-14, ENT-15, ENT-38
func TestVKeysThatAreRefused(t *testing.T) {
	good := vkey(t, "example.com/log", trust.Ed25519, 1)
	parts := strings.SplitN(good, "+", 3)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	// made computes the right ID for any key.
	made := func(name string, blob []byte) string {
		return fmt.Sprintf("%s+%08x+%s", name, rawKeyID(name, blob), base64.StdEncoding.EncodeToString(blob))
	}
	if made("example.com/log", key) != good {
		t.Fatal("the test computes another ID")
	}
	pq, err := base64.StdEncoding.DecodeString(strings.SplitN(vkeyLong(t), "+", 3)[2])
	if err != nil {
		t.Fatal(err)
	}
	low, err := hex.DecodeString("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
	if err != nil {
		t.Fatal(err)
	}
	identity := append([]byte{1}, make([]byte, 31)...)
	if _, err := trust.ParsePolicy([]byte("log " + vkeyLong(t) + "\nquorum none\n")); err != nil {
		t.Fatal(err)
	}
	for name, vkey := range map[string]string{
		"empty parts":                "++",
		"two parts":                  parts[0] + "+" + parts[1],
		"no name":                    made("", key),
		"another ID":                 parts[0] + "+00000000+" + parts[2],
		"ID in capitals":             parts[0] + "+" + strings.ToUpper(parts[1]) + "X+" + parts[2],
		"ID of seven digits":         parts[0] + "+" + parts[1][1:] + "+" + parts[2],
		"ID of another name":         "example.com/other+" + parts[1] + "+" + parts[2],
		"no key":                     made("example.com/log", nil),
		"type alone":                 made("example.com/log", []byte{1}),
		"31 bytes":                   made("example.com/log", key[:32]),
		"33 bytes":                   made("example.com/log", append(bytes.Clone(key), 0)),
		"unpadded":                   strings.TrimRight(vkeyLong(t), "="),
		"URL base64":                 parts[0] + "+" + parts[1] + "+" + strings.NewReplacer("+", "-", "/", "_").Replace(parts[2]) + "_",
		"type 0x00":                  made("example.com/log", append([]byte{0}, key[1:]...)),
		"type 0x02, ECDSA":           made("example.com/log", append([]byte{2}, key[1:]...)),
		"type 0x05, RFC 6962":        made("example.com/log", append([]byte{5}, key[1:]...)),
		"type 0xff":                  made("example.com/log", append([]byte{0xff}, key[1:]...)),
		"ML-DSA type, Ed25519 key":   made("example.com/log", append([]byte{6}, key[1:]...)),
		"identity":                   made("example.com/log", append([]byte{1}, identity...)),
		"small order":                made("example.com/log", append([]byte{1}, low...)),
		"not a point":                made("example.com/log", append([]byte{1, 2}, make([]byte, 31)...)),
		"name that is not UTF-8":     made("example.com/\xff", key),
		"name with a no-break space": made("example.com/\u00a0", key),
		"ML-DSA name of 256 bytes":   made(strings.Repeat("n", 256), pq),
		"a secret key":               "PRIVATE+KEY+" + good,
	} {
		_, err := trust.ParsePolicy([]byte("log " + vkey + "\nquorum none\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "policy line 1: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, key := range map[string][]byte{"small order": low, "identity": identity} {
		_, err := trust.ParsePolicy([]byte("witness a " + made("w.example", append([]byte{4}, key...)) + "\nquorum a\n"))
		if err == nil {
			t.Errorf("witness key of %s accepted", name)
		}
	}
}

func vkeyLong(t testing.TB) string {
	return vkey(t, strings.Repeat("n", 255), trust.MLDSA44Cosigner, 1)
}

// ENT-23, ENT-38
func TestOriginIsTheNameOfTheLogKey(t *testing.T) {
	keys := policyKeys(t)
	policy, err := trust.ParsePolicy([]byte(keys.Replace("log LOG1 https://log.example\nwitness a W1\nlog LOG2\nwitness b PQ https://pq.example\nquorum none\n")))
	if err != nil {
		t.Fatal(err)
	}
	logs, witnesses := policy.Logs(), policy.Witnesses()
	if len(logs) != 2 || logs[0] != (trust.PolicyLog{Origin: "example.com/log1", VKey: keys.Replace("LOG1"), URL: "https://log.example"}) || logs[1].Origin != "example.com/log2" || logs[1].URL != "" {
		t.Errorf("logs %+v", logs)
	}
	if len(witnesses) != 2 ||
		witnesses[0] != (trust.PolicyWitness{Name: "a", KeyName: "w1.example", VKey: keys.Replace("W1"), Algorithm: trust.Ed25519Cosigner}) ||
		witnesses[1] != (trust.PolicyWitness{Name: "b", KeyName: "pq.example", VKey: keys.Replace("PQ"), URL: "https://pq.example", Algorithm: trust.MLDSA44Cosigner}) {
		t.Errorf("witnesses %+v", witnesses)
	}
}

// ENT-41
func TestAnyListedLogIsEnough(t *testing.T) {
	a, b, c := trusttest.NewLog("example.com/a"), trusttest.NewLog("example.com/b"), trusttest.NewLog("example.com/c")
	policy, err := trust.ParsePolicy(trust.FormatPolicy([]trust.PolicyLog{{VKey: a.Signer.VKey()}, {VKey: b.Signer.VKey()}}, nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range []*trusttest.Log{a, b} {
		if cp, err := policy.OpenCheckpoint(log.Checkpoint()); err != nil || cp.Origin != log.Signer.Origin() {
			t.Errorf("%s: %v", log.Signer.Origin(), err)
		}
	}
	_, err = policy.OpenCheckpoint(c.Checkpoint())
	wantError(t, "a log that is not listed", err, trust.ErrUnknownLog)
}

// group is a quorum as the test understands it; a leaf has no members.
type group struct {
	name    string
	need    int
	members []*group
}

func (g *group) holds(cosigned map[string]bool) bool {
	if len(g.members) == 0 {
		return cosigned[g.name]
	}
	n := 0
	for _, m := range g.members {
		if m.holds(cosigned) {
			n++
		}
	}
	return n >= g.need
}

// ENT-41
func TestQuorumAgreesWithBruteForceOnRandomGroups(t *testing.T) {
	const witnesses = 6
	var keys [witnesses]string
	for i := range keys {
		keys[i] = vkey(t, fmt.Sprintf("w%d.example", i), trust.Ed25519Cosigner, byte(i+1))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var text strings.Builder
		var free []*group
		for i, key := range keys {
			name := "w" + strconv.Itoa(i)
			fmt.Fprintf(&text, "witness %s %s\n", name, key)
			free = append(free, &group{name: name})
		}
		// Join some of what is free to a group until the quorum is drawn.
		for i := 0; i == 0 || len(free) > 1 && random.IntN(5) > 0; i++ {
			random.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
			n := 1 + random.IntN(min(3, len(free)))
			g := &group{name: "g" + strconv.Itoa(i), need: 1 + random.IntN(n), members: free[:n:n]}
			word := strconv.Itoa(g.need)
			if g.need == n && random.IntN(2) == 0 {
				word = "all"
			} else if g.need == 1 && random.IntN(2) == 0 {
				word = "any"
			}
			fmt.Fprintf(&text, "group %s %s", g.name, word)
			for _, m := range g.members {
				text.WriteString(" " + m.name)
			}
			text.WriteString("\n")
			free = append(free[n:], g)
		}
		quorum := free[random.IntN(len(free))]
		fmt.Fprintf(&text, "quorum %s\n", quorum.name)
		policy, err := trust.ParsePolicy([]byte(text.String()))
		if err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, text.String())
		}
		var enough [1 << witnesses]bool
		for subset := range 1 << witnesses {
			// Naming a group or a stranger as if it had cosigned changes nothing.
			cosigned := map[string]bool{"stranger": true, "g0": true, "none": true, "": true}
			for i := range witnesses {
				cosigned["w"+strconv.Itoa(i)] = subset>>i&1 == 1
			}
			if got, want := policy.Quorum(cosigned), quorum.holds(cosigned); got != want {
				t.Fatalf("round %d, witnesses %06b: %v, want %v\n%s", round, subset, got, want, text.String())
			}
			enough[subset] = policy.Quorum(cosigned)
		}
		// A superset of a quorum is one, so two disjoint ones exist if some quorum and its complement are.
		disjoint, needed := false, []string(nil)
		for subset := range enough {
			disjoint = disjoint || enough[subset] && enough[len(enough)-1-subset]
		}
		for i := range witnesses {
			if !enough[len(enough)-1-1<<i] {
				needed = append(needed, "w"+strconv.Itoa(i))
			}
		}
		if got := policy.DisjointQuorums(); got != disjoint {
			t.Fatalf("round %d: disjoint quorums %v, want %v\n%s", round, got, disjoint, text.String())
		}
		if got := policy.Indispensable(); !slices.Equal(got, needed) {
			t.Fatalf("round %d: indispensable %v, want %v\n%s", round, got, needed, text.String())
		}
	}
}

// ENT-36
func TestQuorumNoneHoldsAlways(t *testing.T) {
	policy, err := trust.ParsePolicy([]byte("quorum none\n"))
	if err != nil || !policy.Quorum(nil) || !policy.Quorum(map[string]bool{"a": true}) {
		t.Errorf("quorum none does not hold: %v", err)
	}
	if err == nil && (!policy.DisjointQuorums() || policy.Indispensable() != nil) {
		t.Error("quorum none wants a witness")
	}
}

// ENT-40
func TestLargePoliciesAreAcceptedUpToTheBound(t *testing.T) {
	text := func(logs, witnesses, groups int) []byte {
		var b bytes.Buffer
		for i := range logs {
			fmt.Fprintf(&b, "log %s\n", randomKey(t, "log", trust.Ed25519, i))
		}
		for i := range witnesses {
			alg := trust.Ed25519Cosigner
			if i%2 == 1 && i < 32 {
				alg = trust.MLDSA44Cosigner
			}
			fmt.Fprintf(&b, "witness w%d %s\n", i, randomKey(t, "witness", alg, i))
		}
		fmt.Fprint(&b, "group g0 any w0\n")
		for i := 1; i < groups; i++ {
			fmt.Fprintf(&b, "group g%d all g%d\n", i, i-1)
		}
		fmt.Fprintf(&b, "quorum g%d\n", groups-1)
		return b.Bytes()
	}
	for _, n := range [][3]int{{32, 32, 32}, {256, 1, 1}, {1, 256, 1}, {1, 1, 256}} {
		policy, err := trust.ParsePolicy(text(n[0], n[1], n[2]))
		if err != nil {
			t.Errorf("%v logs, witnesses, groups: %v", n, err)
		} else if policy.Quorum(nil) || !policy.Quorum(map[string]bool{"w0": true}) {
			t.Errorf("%v: wrong quorum through nested groups", n)
		}
	}
	for _, n := range [][3]int{{257, 1, 1}, {1, 257, 1}, {1, 1, 257}} {
		if _, err := trust.ParsePolicy(text(n[0], n[1], n[2])); err == nil || !strings.Contains(err.Error(), "more than 256") {
			t.Errorf("%v logs, witnesses, groups: %v", n, err)
		}
	}
	if _, err := trust.ParsePolicy([]byte("quorum none\n" + strings.Repeat("#\n", trust.MaxSize/2))); err == nil {
		t.Error("policy over 1 MiB accepted")
	}
}

func randomKey(t testing.TB, name string, alg trust.Algorithm, n int) string {
	t.Helper()
	seed := make([]byte, 32)
	seed[0], seed[1] = byte(n), byte(n>>8)
	_, v, err := trust.GenerateKey(bytes.NewReader(seed), name+strconv.Itoa(n), alg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFormattedPolicyIsReadBack(t *testing.T) {
	keys := policyKeys(t)
	logs := []trust.PolicyLog{{Origin: "example.com/log1", VKey: keys.Replace("LOG1"), URL: "https://log.example"}}
	witnesses := []trust.PolicyWitness{
		{Name: "a", KeyName: "w1.example", VKey: keys.Replace("W1"), URL: "https://w1.example", Algorithm: trust.Ed25519Cosigner},
		{Name: "b", KeyName: "pq.example", VKey: keys.Replace("PQ"), Algorithm: trust.MLDSA44Cosigner},
	}
	for k := range 3 {
		text := trust.FormatPolicy(logs, witnesses, k)
		policy, err := trust.ParsePolicy(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := policy.Logs(); len(got) != 1 || got[0] != logs[0] {
			t.Errorf("logs %+v", got)
		}
		if got := policy.Witnesses(); len(got) != 2 || got[0] != witnesses[0] || got[1] != witnesses[1] {
			t.Errorf("witnesses %+v", got)
		}
		for n, cosigned := range []map[string]bool{{}, {"b": true}, {"a": true, "b": true}} {
			if policy.Quorum(cosigned) != (n >= k) {
				t.Errorf("quorum %d with %d cosignatures", k, n)
			}
		}
		if !bytes.Equal(trust.FormatPolicy(policy.Logs(), policy.Witnesses(), k), text) {
			t.Error("written again it differs")
		}
	}
	if text := string(trust.FormatPolicy(logs, nil, 0)); !strings.HasSuffix(text, "\nquorum none\n") {
		t.Errorf("without witnesses: %s", text)
	}
}

func TestFormatPolicyNeverWeakensWhatWasAsked(t *testing.T) {
	keys := policyKeys(t)
	log, w1 := keys.Replace("LOG1"), keys.Replace("W1")
	for name, text := range map[string][]byte{
		"one of no witnesses":      trust.FormatPolicy(nil, nil, 1),
		"two of one":               trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: "a", VKey: w1}}, 2),
		"minus one":                trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: "a", VKey: w1}}, -1),
		"newline in a vkey":        trust.FormatPolicy([]trust.PolicyLog{{VKey: log + "\nquorum none"}}, nil, 0),
		"newline in a URL":         trust.FormatPolicy([]trust.PolicyLog{{VKey: log, URL: "https://a.example\n#"}}, nil, 0),
		"space in a name":          trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: "a b", VKey: w1}}, 1),
		"empty name":               trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: "", VKey: "none"}}, 1),
		"empty vkey":               trust.FormatPolicy([]trust.PolicyLog{{}}, nil, 0),
		"witness called none":      trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: "none", VKey: w1}}, 1),
		"witness called witnesses": trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: "witnesses", VKey: w1}}, 1),
	} {
		if _, err := trust.ParsePolicy(text); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
	hostile := trust.FormatPolicy(nil, []trust.PolicyWitness{{Name: "a\nquorum\tnone\n#", VKey: w1}}, 1)
	if policy, err := trust.ParsePolicy(hostile); err == nil && policy.Quorum(nil) {
		t.Errorf("a name has written the quorum: %s", hostile)
	}
}

// canonical writes what a policy means: logs, witnesses, and the quorum as the list of the
// witness sets that satisfy it, for at most eight witnesses.
func canonical(p *trust.Policy) string {
	witnesses := p.Witnesses()
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q\n", p.Logs(), witnesses)
	for subset := range 1 << min(len(witnesses), 8) {
		cosigned := map[string]bool{}
		for i, w := range witnesses {
			cosigned[w.Name] = subset>>i&1 == 1
		}
		fmt.Fprint(&b, p.Quorum(cosigned))
	}
	return b.String()
}

func FuzzParsePolicy(f *testing.F) {
	keys := policyKeys(f)
	for _, text := range []string{
		"quorum none\n", "log LOG1 https://log.example\nquorum none\n", "# c\n\nlog LOG1\nlog LOG2\nwitness a W1\nwitness b W2\nwitness c W3\ngroup g 2 a b c\nwitness d W4\ngroup h all g d\nquorum h\n",
		"witness a PQ\n\tgroup g any a\n quorum a\n", "group g all g\nquorum g\n", "witness a W1\ngroup g 0 a\nquorum g\n", "quorum none\nquorum none\n", "log LOG1\r\nquorum none\n",
	} {
		f.Add([]byte(keys.Replace(text)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		policy, err := trust.ParsePolicy(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "policy") {
				t.Errorf("error %v", err)
			}
			return
		}
		if got, want := string(policy.Text()), withoutComments(string(text)); got != want {
			t.Errorf("Text is %q, want %q", got, want)
		}
		// Comments, blank lines and spacing mean nothing.
		again, err := trust.ParsePolicy(policy.Text())
		if err != nil {
			t.Fatalf("without comments and spacing: %v", err)
		}
		if canonical(policy) != canonical(again) {
			t.Error("without comments and spacing it means something else")
		}
		// Nobody cosigning satisfies nothing but "quorum none"; all cosigning satisfies everything.
		all := map[string]bool{}
		for _, w := range policy.Witnesses() {
			all[w.Name] = true
		}
		if !policy.Quorum(all) {
			t.Error("all witnesses are not enough")
		}
		if policy.Quorum(nil) && !bytes.Contains(policy.Text(), []byte("quorum none\n")) {
			t.Error("no witness is enough")
		}
	})
}

func BenchmarkParsePolicy(b *testing.B) {
	text := newWorld().policy(2).Text()
	for b.Loop() {
		if _, err := trust.ParsePolicy(text); err != nil {
			b.Fatal(err)
		}
	}
}
