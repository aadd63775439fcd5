package site

// BeforeStep has a test called before each step that changes the folder.
func BeforeStep(c *Config, step func(string) error) { c.step = step }

// ThreeDigits makes hint files change their names where a log grows beyond this size, and each 16 times it.
func ThreeDigits(c *Config, size int64) { c.three = size }
