# make run    builds muster, makes a log in $(DIR) if there is none, serves it on loopback
# make test   everything that must hold: format, vet, lint, tests, races, other targets
# make bench  what it costs, beside the floor that its cryptography sets: every target with
#             its figure, which docs/results/performance.json keeps
# make campaigns  the long runs: a million forged evidence files, an audit of a million events
# make torture  the long campaign, by seed: docs/results/reliability.md
# make fuzz   every fuzz target for $(FUZZTIME)
# make vectors  writes testdata/vectors anew

ORIGIN   ?= example.org/muster
DIR      ?= run/$(subst /,_,$(ORIGIN))
LISTEN   ?= 127.0.0.1:8650
FUZZTIME ?= 30s

GO     ?= go
export CGO_ENABLED ?= 0

# The packages that clients embed: they must build for phones and browsers.
PURE = ./log/name ./log/event ./log/vrf ./log/commitment ./log/prefix ./log/leaf \
       ./log/checkpoint ./log/evidence ./log/answer ./verifier ./verifier/code ./verifier/device

# Everything: the go command leaves folders named testdata out of its dots.
ALL = ./... ./testdata ./testdata/make ./testdata/judge ./testdata/bench ./testdata/machine ./testdata/torture/...

# Where goroutines meet; cgo is needed for the race detector only.
RACY = ./log ./log/store/... ./api/... ./verifier/statefile ./verifier/device ./witness/... ./cmd/muster/demo

# With the same staticcheck everywhere.
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: all run build test check interop bench campaigns torture fuzz vectors generate clean

all: build

build:
	$(GO) build -o bin/muster ./cmd/muster

run: build
	@mkdir -p $(dir $(DIR))
	@echo 'In another terminal, from this folder:'
	@echo '  export MUSTER_POLICY=$(DIR)/policy; alias muster=bin/muster; muster help'
	bin/muster serve --dir $(DIR) --init --origin $(ORIGIN) --listen $(LISTEN)

test: check interop
	$(GO) test $(ALL)
	CGO_ENABLED=1 $(GO) test -race -short $(RACY)

check:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "run gofmt -w on: $$unformatted"; exit 1; }
	$(GO) vet $(ALL)
	$(STATICCHECK) $(ALL)
	GOOS=js GOARCH=wasm $(GO) build $(PURE)
	GOARCH=386 $(GO) vet $(PURE)

# Against tessera, in a module of its own: go.mod stays small. And evidence files
# against a verifier in Python, which needs python3.
interop:
	cd testdata/interop && $(GO) vet ./... && $(STATICCHECK) ./... && $(GO) test ./...

# BENCH_EVENTS=10000000 is the whole of it, three quarters of an hour on a quiet
# machine of two cores; BENCH_DIR keeps the log that it grows.
bench:
	$(GO) run ./testdata/bench

# What is too long for make test; docs/results has what it printed.
campaigns:
	MUSTER_TEST_FORGERIES=1000000 $(GO) test -timeout 60m -v -run Forgeries ./log/evidence
	MUSTER_TEST_OVERLOAD=5m $(GO) test -timeout 10m -v -run Overload ./cmd/muster
	MUSTER_BENCH_EVENTS=1000000 $(GO) test -run '^$$' -bench Audit -benchtime 1x ./witness/auditor

# Hours. An interrupted campaign goes on where it was; TORTURE="-cores 2" runs two
# parts at a time, TORTURE="-only simulation" one, TORTURE="-scale 0.01" a hundredth.
torture:
	nice -n 15 $(GO) run ./testdata/torture $(TORTURE)

# Each target by itself: the go command fuzzes one at a time. Its minimizing of
# inputs is cut short: by default it may take a minute each, and all the time.
fuzz:
	@for f in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for t in $$(grep -rh '^func Fuzz' $$f/*_test.go | sed 's/func \(Fuzz[A-Za-z0-9_]*\).*/\1/'); do \
	    echo "$$f $$t"; $(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$f || exit 1; \
	  done; done

vectors:
	$(GO) run ./testdata/make
	MUSTER_WRITE_VECTORS=1 $(GO) test -count=1 -run Corpus ./log/evidence

# protoc comes from Debian's protobuf-compiler.
generate:
	$(GO) generate ./api/...

clean:
	rm -rf bin
