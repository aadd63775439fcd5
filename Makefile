# Everything a newcomer needs: `make demo` and `make test`. Both do their own set-up.
GO        ?= go
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS   := -s -w -X main.version=$(VERSION)
BUILD     := CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
# The rooms where goroutines meet; the race detector wants a C compiler, the programs never do.
RACED     := ./internal/... ./capture/... ./pack/keystore/... ./ledger/... ./witness/...
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.3.0

.PHONY: all build demo test fmt vet unit soak race interop browser bench fuzz fuzz-short mutants figures lint vuln licences dist image-check clean
all: build

# The first build downloads and compiles some hundreds of packages, so it says how far it is. go build -v names each;
# everything else that it says is passed on, and its status comes behind the last line.
build:
	@echo '$(BUILD) -o bin/ ./cmd/assay ./cmd/ledger'
	@{ $(BUILD) -v -o bin/ ./cmd/assay ./cmd/ledger; echo "status: $$?"; } 2>&1 | { \
		n=0; while IFS= read -r line; do case $$line in \
			"status: "*) exit $${line#status: } ;; \
			*[\ :]*|"") printf '%s\n' "$$line" ;; \
			*) n=$$((n+1)); [ $$n != 30 ] || all=$$($(GO) list -deps ./cmd/assay ./cmd/ledger | wc -l); \
				[ $$((n%30)) != 0 ] || echo "  compiled $$n of at most $$all packages, now $$line" ;; \
		esac; done; }

# The whole chain, nothing mocked: ledger, TSA, three witnesses, pack, anchor, offline check, attacks.
demo: build
	@rm -rf bin/demo-site
	./bin/ledger demo --site bin/demo-site

# Every part runs, whatever the ones before it found; the last lines name what failed and which peers ran.
# The race detector, the peers and the browser run beside the tests, since all of them wait as often as they compute;
# what they print comes after them, whole.
ALONE  := fmt vet
BESIDE := race interop browser
test: build
	@dir=$$(mktemp -d) && export ASSAY_PEERS=$$dir/peers; trap 'rm -rf '$$dir EXIT; \
	part() { $(MAKE) --no-print-directory $$1 || echo $$1 >>$$dir/failed; }; \
	for p in $(ALONE); do part $$p; done; \
	for p in $(BESIDE); do part $$p >$$dir/$$p 2>&1 & done; \
	part unit; wait; \
	for p in $(BESIDE); do cat $$dir/$$p; done; \
	[ ! -e $$dir/failed ] || echo "failed:" $$(cat $$dir/failed); \
	touch $$dir/peers; LC_ALL=C sort -u -k2 $$dir/peers | awk "$$PEERS"; [ ! -e $$dir/failed ]

# The tests add a line for each peer that they met, "ran NAME" or "skipped NAME"; this says them in one.
define PEERS
{ word = $$1; sub(/^[a-z]+ /, ""); list[word] = list[word] (n[word]++ ? ", " : "") $$0 }
END {
	if (NR == 0) { print "peers: none was asked"; exit }
	rest = n["skipped"] ? "; not here: " list["skipped"] : ""
	printf "peers: %d run, %d skipped (%s%s)\n", n["ran"], n["skipped"], list["ran"], rest
}
endef
export PEERS

fmt:
	@test -z "$$(gofmt -l .)" || { echo "gofmt wants:"; gofmt -l .; exit 1; }

vet:
	$(GO) vet ./...

unit:
	$(GO) test -timeout 20m ./...

# What takes long, whole: every flipped bit, kills by the dozen.
soak:
	ASSAY_LONG=1 $(GO) test -timeout 60m ./...
	cd conformance/browser && ASSAY_LONG=1 $(GO) test -timeout 30m

race:
	@if command -v $${CC:-cc} >/dev/null 2>&1; then \
		echo "CGO_ENABLED=1 $(GO) test -race -short $(RACED)"; \
		CGO_ENABLED=1 $(GO) test -race -short -timeout 20m $(RACED); \
	else echo "SKIP race detector: no C compiler"; fi

# A module of its own, so that its peers never reach the product's go.mod. Its one package is not
# named: go test hides what packages of a list say, and this one says what it skips.
interop: build
	cd conformance/interop && $(GO) test -timeout 30m

# The verifier and its pages in Chromium: a module of its own, as above.
browser:
	cd conformance/browser && $(GO) test -timeout 15m

bench:
	@$(GO) run ./conformance/bench

# On a busy machine go test may miss its own deadline and call that a failure; a finding has a failing input.
fuzz:
	@out=$$(mktemp); trap 'rm -f '$$out EXIT; \
	for target in $$(grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]+' $$target/*_test.go | cut -c6-); do \
			echo "== $$target $$f"; \
			if $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-60s} -fuzzminimizetime 10x $$target >$$out 2>&1; then \
				tail -1 $$out; \
			elif grep -q 'context deadline exceeded' $$out && ! grep -q 'Failing input' $$out; then \
				echo "no finding; go test missed its deadline"; \
			else cat $$out; exit 1; fi; \
		done; \
	done

fuzz-short:
	@FUZZTIME=20s $(MAKE) --no-print-directory fuzz

# What can be said of the source in numbers.
figures:
	@$(GO) test -count=1 -run '^TestFiguresOfTheSource$$' -v .

# What no test sees: MUTANTS='-pkg trust -n 100 -seed 7' make mutants
mutants:
	@$(GO) run ./conformance/mutants $(MUTANTS)

lint:
	$(GO) vet ./...
	@for target in windows/amd64 darwin/arm64 linux/386; do \
		echo "build assay for $$target"; \
		GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/assay || exit 1; \
	done
	$(GO) mod tidy -diff
	$(GO) run $(STATICCHECK) ./...

vuln:
	$(GO) run $(GOVULNCHECK) ./...

# The licences of all that the programs link; a test compares them.
licences:
	$(GO) run ./conformance/licences >THIRD_PARTY_LICENSES.txt

# The archives of a release, with their checksums, in dist/. The same commit and Go give the same bytes.
DOCS := LICENSE THIRD_PARTY_LICENSES.txt README.md CHANGELOG.md SECURITY.md docs
dist:
	@rm -rf dist && mkdir dist
	@for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do \
		os=$${target%/*}; name=assay-ledger_$(VERSION)_$${os}_$${target#*/}; mkdir dist/$$name && cp -R $(DOCS) dist/$$name || exit 1; \
		programs=./cmd/assay; [ $$os != linux ] || programs="./cmd/assay ./cmd/ledger"; \
		echo "dist/$$name.tar.gz"; \
		GOOS=$$os GOARCH=$${target#*/} $(BUILD) -o dist/$$name/ $$programs && \
		tar -C dist --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime=@0 -cf - $$name | gzip -9n >dist/$$name.tar.gz && \
		rm -r dist/$$name || exit 1; \
	done
	@cd dist && sha256sum *.tar.gz >SHA256SUMS

# Builds the stages of the Dockerfile, with a builder made of the Go that is here, and runs what comes out.
image-check:
	bash conformance/image.sh

clean:
	rm -rf bin dist
