// Package schema holds the JSON Schemas (draft 2020-12) of every document that assay reads or writes.
//
// A schema says what form a document has, not whether it is true: hashes, signatures and what must agree
// with what are for the verifier. Nor can it say that no member stands twice, which the verifier refuses.
// What a schema refuses, the verifier refuses too.
package schema

import (
	"embed"
	"slices"
	"strings"
)

//go:embed *.schema.json
var files embed.FS

const suffix = ".schema.json"

// Names are the documents, sorted: attestation, corpus-index, coverage-contract, …
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil // they are in the program
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), suffix))
	}
	slices.Sort(names)
	return names
}

// Get returns the schema of a document as a file; false if there is none of that name.
func Get(name string) ([]byte, bool) {
	if !slices.Contains(Names(), name) {
		return nil, false
	}
	text, err := files.ReadFile(FileName(name))
	return text, err == nil
}

// FileName is how the file of a schema is called: attestation.schema.json. Schemas refer to each other
// by their $id, urn:assay-ledger:schema:attestation.
func FileName(name string) string { return name + suffix }
