// Package site makes of a log a folder of plain files that any static host serves: the log itself as C2SP
// tlog-tiles has it, the history of its checkpoints, files by which a reader without a server finds entries,
// feeds, and pages that verify what they show in the reader's browser.
package site
