package trust

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Limits on a policy, besides MaxSize.
const (
	maxLogs      = 256
	maxWitnesses = 256
	maxGroups    = 256
)

// Policy is a parsed C2SP tlog-policy: the logs and witnesses somebody believes, and which
// witnesses are enough. It is immutable and safe for concurrent use. The zero Policy knows no log
// and no quorum satisfies it.
type Policy struct {
	text         []byte // see Text
	logs         []logWithKey
	witnesses    []witnessWithKey
	logByKey     map[keyRef]int // index in logs
	witnessByKey map[keyRef]int // index in witnesses
	nodes        []quorumNode   // what may be a quorum; nodes[0] is "none", others in file order
	quorum       int            // index in nodes
}

// PolicyLog is one log line. VKey is the exact vkey text; Origin its key name; URL may be empty.
type PolicyLog struct {
	Origin, VKey, URL string
}

// PolicyWitness is one witness line. Name is the policy's word for it, KeyName the vkey's name;
// URL may be empty.
type PolicyWitness struct {
	Name, KeyName, VKey, URL string
	Algorithm                Algorithm
}

type logWithKey struct {
	PolicyLog
	key *publicKey
}

type witnessWithKey struct {
	PolicyWitness
	key *publicKey
}

// quorumNode is a witness, which holds if it cosigned, or a group, which holds if need of its members do.
type quorumNode struct {
	witness string // policy name; empty for a group and for "none"
	need    int
	members []int // indexes in nodes, all smaller than this node's
}

// ParsePolicy parses a C2SP tlog-policy, strictly. Errors name the line:
// `policy line 7: group "eu" wants 3 of 2 members`.
//
// Beyond the specification it refuses: a vkey whose ID is not that of its name and key; Ed25519 keys
// that CheckEd25519Key refuses; two keys under one name and ID; a URL that is not absolute http or
// https, or has user information, a query or a fragment; a threshold with a leading zero; more than
// 1 MiB, or 256 logs, witnesses or groups. Log keys are of type 0x01 or 0x06, witness keys 0x04 or 0x06.
// One Ed25519 key may be a log's and a witness's: the two sign different messages.
func ParsePolicy(text []byte) (*Policy, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("policy is longer than %d bytes", MaxSize)
	}
	r := policyReader{
		Policy: Policy{
			logByKey:     map[keyRef]int{},
			witnessByKey: map[keyRef]int{},
			// SPEC tlog-policy: "The special name `none` is predefined"
			nodes: []quorumNode{{need: 0}},
		},
		names:    map[string]int{"none": 0},
		isMember: map[int]bool{},
		seen:     map[string]bool{},
	}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if err := r.readLine(line); err != nil {
			return nil, fmt.Errorf("policy line %d: %w", n, err)
		}
	}
	// SPEC tlog-policy: "A policy file must include exactly one quorum line."
	if !r.hasQuorum {
		return nil, errors.New("policy: no quorum line")
	}
	return &r.Policy, nil
}

// policyReader is a policy on its way.
type policyReader struct {
	Policy
	names     map[string]int  // witness and group names, one namespace: index in nodes
	isMember  map[int]bool    // nodes that are a member of some group
	seen      map[string]bool // role and raw public key
	groups    int
	hasQuorum bool
}

func (r *policyReader) readLine(line []byte) error {
	content, ok := bytes.CutSuffix(line, []byte("\n"))
	// SPEC tlog-policy: "each line is terminated by ASCII newline"
	if !ok {
		return errors.New("no newline at the end")
	}
	for _, b := range content {
		// SPEC tlog-policy: "the allowed octet values are 0x09 (tab), 0x0A (newline), 0x20-0x7E, and 0x80-0xFF."
		if b < 0x20 && b != '\t' || b == 0x7f {
			return fmt.Errorf("control character 0x%02x", b)
		}
	}
	// SPEC tlog-policy: "sequences of ASCII space and tab characters *only*"
	items := strings.FieldsFunc(string(content), func(c rune) bool { return c == ' ' || c == '\t' })
	if len(items) == 0 || items[0][0] == '#' {
		return nil
	}
	r.text = append(append(r.text, strings.Join(items, " ")...), '\n')
	keyword, args := items[0], items[1:]
	switch keyword {
	case "log":
		return r.readLog(args)
	case "witness":
		return r.readWitness(args)
	case "group":
		return r.readGroup(args)
	case "quorum":
		return r.readQuorum(args)
	}
	return fmt.Errorf("unknown keyword %q, want log, witness, group or quorum", keyword)
}

// readLog reads "log <vkey> [<url>]".
func (r *policyReader) readLog(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return fmt.Errorf("log takes a vkey and at most a URL, not %d items", len(args))
	}
	if len(r.logs) == maxLogs {
		return fmt.Errorf("more than %d logs", maxLogs)
	}
	key, err := r.readKey("log", args[0])
	if err != nil {
		return err
	}
	where, err := readURL(args[1:])
	if err != nil {
		return err
	}
	r.logByKey[key.keyRef] = len(r.logs)
	r.logs = append(r.logs, logWithKey{PolicyLog{Origin: key.name, VKey: args[0], URL: where}, key})
	return nil
}

// readWitness reads "witness <name> <vkey> [<url>]".
func (r *policyReader) readWitness(args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return fmt.Errorf("witness takes a name, a vkey and at most a URL, not %d items", len(args))
	}
	if len(r.witnesses) == maxWitnesses {
		return fmt.Errorf("more than %d witnesses", maxWitnesses)
	}
	name := args[0]
	key, err := r.readKey("witness", args[1])
	if err != nil {
		return err
	}
	where, err := readURL(args[2:])
	if err != nil {
		return err
	}
	if err := r.define(name, quorumNode{witness: name}); err != nil {
		return err
	}
	r.witnessByKey[key.keyRef] = len(r.witnesses)
	r.witnesses = append(r.witnesses, witnessWithKey{
		PolicyWitness{Name: name, KeyName: key.name, VKey: args[1], URL: where, Algorithm: key.alg}, key})
	return nil
}

// readKey reads the vkey of a log or a witness and refuses duplicates in its role.
func (r *policyReader) readKey(role, vkey string) (*publicKey, error) {
	key, err := parseVKey(vkey)
	if err != nil {
		return nil, err
	}
	// SPEC tlog-policy: "Log and witness keys must use a signature type approprate respective function"
	own := Ed25519Cosigner
	if role == "log" {
		own = Ed25519
	}
	if key.alg != own && key.alg != MLDSA44Cosigner {
		return nil, fmt.Errorf("a %s key is of type 0x%02x or 0x%02x, not 0x%02x",
			role, byte(own), byte(MLDSA44Cosigner), byte(key.alg))
	}
	// SPEC tlog-policy: "Two vkeys are considered *duplicate* if they wrap the same underlying public
	// key, even if they differ by key name and key id."
	fingerprint := role + " " + string(key.bytes)
	if r.seen[fingerprint] {
		return nil, fmt.Errorf("another %s has the public key of %q", role, key.name)
	}
	r.seen[fingerprint] = true
	_, isLog := r.logByKey[key.keyRef]
	_, isWitness := r.witnessByKey[key.keyRef]
	// One line must not be a log's signature and a witness's at once.
	if isLog || isWitness {
		return nil, fmt.Errorf("another key has the name %q and the ID %08x", key.name, key.id)
	}
	return key, nil
}

// readGroup reads "group <name> all|any|<k> <name>...".
func (r *policyReader) readGroup(args []string) error {
	// SPEC tlog-policy: "At least one member must be listed"
	if len(args) < 3 {
		return errors.New("group takes a name, a threshold and at least one member")
	}
	if r.groups++; r.groups > maxGroups {
		return fmt.Errorf("more than %d groups", maxGroups)
	}
	name, members := args[0], args[2:]
	need, err := readThreshold(args[1], len(members))
	if err != nil {
		return fmt.Errorf("group %q %w", name, err)
	}
	g := quorumNode{need: need}
	for _, member := range members {
		i, ok := r.names[member]
		switch {
		case !ok:
			return fmt.Errorf("group %q: member %q is not defined above", name, member)
		case i == 0:
			return fmt.Errorf("group %q: none cannot be a member", name)
		// SPEC tlog-policy: "Each defined name can be listed as a group member at most once."
		case r.isMember[i]:
			return fmt.Errorf("group %q: %q is a member already, here or of another group", name, member)
		}
		r.isMember[i] = true
		g.members = append(g.members, i)
	}
	return r.define(name, g)
}

func readThreshold(word string, members int) (int, error) {
	switch word {
	case "all":
		return members, nil
	case "any":
		return 1, nil
	}
	k, err := ParseDecimal(word)
	if err != nil {
		return 0, fmt.Errorf("has the threshold %q, want all, any or a plain decimal", word)
	}
	// SPEC tlog-policy: "it is required that 1 <= k <= n"
	if k < 1 || k > int64(members) {
		return 0, fmt.Errorf("wants %d of %d members", k, members)
	}
	return int(k), nil
}

// readQuorum reads "quorum <name>".
func (r *policyReader) readQuorum(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("quorum takes one name, not %d", len(args))
	}
	if r.hasQuorum {
		return errors.New("a second quorum line")
	}
	i, ok := r.names[args[0]]
	if !ok {
		return fmt.Errorf("quorum %q is not defined above", args[0])
	}
	r.quorum, r.hasQuorum = i, true
	return nil
}

// define adds a witness or a group under a name of its own.
func (r *policyReader) define(name string, n quorumNode) error {
	if _, ok := r.names[name]; ok {
		return fmt.Errorf("the name %q is taken", name)
	}
	r.names[name] = len(r.nodes)
	r.nodes = append(r.nodes, n)
	return nil
}

// readURL reads an optional URL. What it must be is ours to say: tlog-policy leaves it to the
// application, and ours appends paths to it.
func readURL(args []string) (string, error) {
	if len(args) == 0 {
		return "", nil
	}
	u, err := url.Parse(args[0])
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		u.User != nil || strings.ContainsAny(args[0], "?#") {
		return "", errors.New("URL is not an absolute http or https one without user, query and fragment")
	}
	return args[0], nil
}

// Logs returns the log lines in file order.
func (p *Policy) Logs() []PolicyLog {
	logs := make([]PolicyLog, len(p.logs))
	for i, l := range p.logs {
		logs[i] = l.PolicyLog
	}
	return logs
}

// Witnesses returns the witness lines in file order, those outside the quorum too.
func (p *Policy) Witnesses() []PolicyWitness {
	witnesses := make([]PolicyWitness, len(p.witnesses))
	for i, w := range p.witnesses {
		witnesses[i] = w.PolicyWitness
	}
	return witnesses
}

// Text returns the policy as it was read: its lines, with one space between items. Comments are left
// out: a policy is published, and what its keeper noted beside it is nobody's business.
func (p *Policy) Text() []byte { return bytes.Clone(p.text) }

// Quorum reports whether the named witnesses (policy names) satisfy the quorum.
// Names that are no witness of the policy count for nothing.
func (p *Policy) Quorum(witnesses map[string]bool) bool {
	if p.quorum >= len(p.nodes) {
		return false // the zero Policy
	}
	// Members stand before their group, so one pass in order settles every node, however deep.
	holds := make([]bool, len(p.nodes))
	for i, n := range p.nodes {
		if n.witness != "" {
			holds[i] = witnesses[n.witness]
			continue
		}
		count := 0
		for _, m := range n.members {
			if holds[m] {
				count++
			}
		}
		holds[i] = count >= n.need
	}
	return holds[p.quorum]
}

// DisjointQuorums reports whether two sets of witnesses that share none both satisfy the quorum. Then
// two histories of one log can each have a quorum without a single dishonest witness: each saw only one.
func (p *Policy) DisjointQuorums() bool {
	if p.quorum >= len(p.nodes) {
		return false
	}
	// twice[i]: two disjoint sets can both satisfy node i. Every name is a member of one group at most,
	// so the sets below different members never meet: a member that can hold twice counts for both
	// sides, any other goes to the side that lacks it.
	twice := make([]bool, len(p.nodes))
	for i, n := range p.nodes {
		if n.witness != "" {
			continue
		}
		both := 0
		for _, m := range n.members {
			if twice[m] {
				both++
			}
		}
		lacking := max(0, n.need-both)
		twice[i] = 2*lacking <= len(n.members)-both
	}
	return twice[p.quorum]
}

// Indispensable returns the witnesses, by policy name in file order, without any one of which the
// others cannot satisfy the quorum: while it is away, nothing is published.
func (p *Policy) Indispensable() []string {
	others := make(map[string]bool, len(p.witnesses))
	for _, w := range p.witnesses {
		others[w.Name] = true
	}
	var names []string
	for _, w := range p.witnesses {
		others[w.Name] = false
		if !p.Quorum(others) {
			names = append(names, w.Name)
		}
		others[w.Name] = true
	}
	return names
}

// FormatPolicy writes a policy of one group: quorum of the witnesses must cosign. A quorum of 0 gives
// "quorum none". It checks nothing: hand the text to ParsePolicy, which refuses whatever does not make
// a policy, a quorum that the witnesses cannot meet among it.
//
//	log example.com/log+b1f0c2d3+AW… https://log.example.com
//	witness w1 witness.example/w1+0a1b2c3d+BG… https://w1.example
//	witness w2 witness.example/w2+4e5f6071+Bg…
//	group witnesses 1 w1 w2
//	quorum witnesses
func FormatPolicy(logs []PolicyLog, witnesses []PolicyWitness, quorum int) []byte {
	var text bytes.Buffer
	line := func(items ...string) {
		for i, item := range items {
			if i > 0 {
				text.WriteByte(' ')
			}
			text.WriteString(policyItem(item))
		}
		text.WriteByte('\n')
	}
	for _, l := range logs {
		line(withURL(l.URL, "log", l.VKey)...)
	}
	for _, w := range witnesses {
		line(withURL(w.URL, "witness", w.Name, w.VKey)...)
	}
	if quorum == 0 {
		line("quorum", "none")
		return text.Bytes()
	}
	group := []string{"group", "witnesses", strconv.Itoa(quorum)}
	for _, w := range witnesses {
		group = append(group, w.Name)
	}
	line(group...)
	line("quorum", "witnesses")
	return text.Bytes()
}

func withURL(where string, items ...string) []string {
	if where == "" {
		return items
	}
	return append(items, where)
}

// policyItem quotes what would not be read back as one item, so that no item can write another line.
func policyItem(item string) string {
	for i := range len(item) {
		if item[i] <= 0x20 || item[i] == 0x7f {
			return strconv.Quote(item)
		}
	}
	if item == "" {
		return `""`
	}
	return item
}
