package site

// BeforeStep has a test called before each step that changes the folder.
func BeforeStep(c *Config, step func(string) error) { c.step = step }
