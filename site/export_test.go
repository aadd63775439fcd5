package site

// BeforeStep has a test called before each step that changes the folder.
func BeforeStep(c *Config, step func(string) error) { c.step = step }

// ThreeDigits makes hint files change their names where a log grows beyond this size, and each 16 times it.
func ThreeDigits(c *Config, size int64) { c.three = size }

// Volatile has a build wait for no disk.
func Volatile(c *Config) { c.volatile = true }

// Longest is how long the list of changes of a build may be.
func Longest(c *Config, size int) { c.longest = size }

// SameCommit reads a list of changes, and writes it again.
func SameCommit(text []byte) ([]byte, error) {
	list, err := parseCommit(text)
	return list.marshal(), err
}

// EndCommit gives lines of such a list the end that they need.
func EndCommit(lines string) []byte { return append([]byte(lines), commitTail([]byte(lines))...) }

// FullHints is how many lines a file of hints has at most.
func FullHints(c *Config, lines int) { c.full = lines }
