// A module of its own: what the peers need never reaches the product's go.mod.
module github.com/Haserjian/assay-ledger/conformance/interop

go 1.26

require (
	filippo.io/torchwood v0.9.1-0.20260706112420-c22a68158d96
	github.com/Haserjian/assay-ledger v0.0.0
	golang.org/x/mod v0.42.0
)

// The product is the tree around us. Only this test module may replace.
replace github.com/Haserjian/assay-ledger => ../..
