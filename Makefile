# `make help` lists the targets. The tools are pinned here, installed into ./bin
# on first use, and kept out of go.mod: they are not part of the service.

GOLANGCI_LINT_VERSION := v2.15.0
GOFUMPT_VERSION       := v0.12.0
GORELEASER_VERSION    := v2.15.1
CYCLONEDX_VERSION     := v1.10.0
SCHEMATHESIS_VERSION  := 4.32.5

GO            ?= go
GOLANGCI_LINT := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
SCHEMATHESIS  := bin/schemathesis-$(SCHEMATHESIS_VERSION)
GOFUMPT       := bin/gofumpt-$(GOFUMPT_VERSION)
GORELEASER    := bin/goreleaser-$(GORELEASER_VERSION)
CYCLONEDX     := bin/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod

# Which build this is, for images.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE    ?= $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo 1970-01-01T00:00:00Z)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: dev
dev: ## run everything in one process: Kafka, PostgreSQL, service-order, the service
	$(GO) run ./cmd/service-courier dev

.PHONY: build
build: ## build the programs into ./bin
	$(GO) build -o bin/ ./cmd/...

.PHONY: test
test: ## run the tests, on an embedded Kafka and a real PostgreSQL
	$(GO) test ./...

# The packages whose tests reach the real broker, found by what they import.
# -p 1: two brokers at once are slower than one after the other.
.PHONY: test-kafka
test-kafka: ## run the tests that need a real Kafka broker (Java 17 or newer, Maven)
	SERVICE_COURIER_TEST_KAFKA=1 $(GO) test -count=1 -p 1 -timeout 10m $$($(MAKE) -s kafka-packages)

.PHONY: test-tls
test-tls: ## run the tests of TLS, SASL and rights, on a real Kafka and PostgreSQL
	SERVICE_COURIER_REQUIRE_KAFKA=1 $(GO) test -count=1 -timeout 10m ./test/e2e -run '^TestSecure'

# The upgrade is the same on any Kafka.
.PHONY: test-zookeeper
test-zookeeper: ## run both programs end to end on Kafka 3.9 with ZooKeeper
	SERVICE_COURIER_REQUIRE_KAFKA=1 SERVICE_COURIER_TEST_KAFKA_FLAVOUR=zookeeper $(GO) test -count=1 -timeout 10m ./test/e2e \
		-run '^TestTogether$$' -skip '/^a_rolling_upgrade$$'

.PHONY: kafka-packages
kafka-packages:
	@$(GO) list -test -f '{{if .ForTest}}{{.ForTest}} {{join .Deps " "}}{{end}}' ./... \
		| awk '/ service-courier\/test\/realkafka( |$$)/ || $$1 ~ /\/test\/realkafka$$/ { print $$1 }' | sort -u

.PHONY: test-api
test-api: $(SCHEMATHESIS)/bin/schemathesis ## let schemathesis try the API against its document (Python 3.10 or newer)
	SERVICE_COURIER_SCHEMATHESIS=$(CURDIR)/$< $(GO) test -count=1 ./test/api -run TestSchemathesis

.PHONY: test-race
test-race: ## run the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race ./...

.PHONY: docs
docs: ## write the documents that are made from the code: docs/errors.md, docs/openapi.json
	$(GO) test ./internal/transport/rest -run Documented -update

.PHONY: bench
bench: ## measure events a second through the real program, Kafka and PostgreSQL
	$(GO) run ./test/bench

# go test takes one fuzz test at a time.
FUZZTIME ?= 20s

.PHONY: fuzz
fuzz: ## let the fuzzer look for events and ids that break the decoder and the id check: FUZZTIME=20s each
	$(GO) test ./internal/transport/kafka -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(FUZZTIME)
	$(GO) test ./internal/courier -run '^$$' -fuzz '^FuzzParseOrderID$$' -fuzztime $(FUZZTIME)

.PHONY: mutants
mutants: ## remove each guard in a copy of the sources and see that a test notices
	$(GO) run ./test/mutants

# mod=mod: this module's dependencies are among those of the other's. count=1: the
# test cache does not see files outside of the module that is tested.
.PHONY: test-kubernetes
test-kubernetes: ## hold the manifests against Kubernetes' types, KEDA's schema and the code (a module of its own)
	cd test/kubernetes && export GOFLAGS="$$GOFLAGS -mod=mod" && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: test-upgrade
test-upgrade: ## exchange the version before for this one under load, and back (Java 17 or newer, Maven, git)
	SERVICE_COURIER_REQUIRE_KAFKA=1 $(GO) test -count=1 -v -timeout 10m ./test/e2e -run 'TestTogether/a_rolling_upgrade'

.PHONY: image
image: ## make the OCI images of both programs, without a container engine, in dist/image
	$(GO) run ./deploy/image -out dist/image -version '$(VERSION)' -commit '$(COMMIT)' -date '$(DATE)'

SNAPSHOT ?= --snapshot

.PHONY: snapshot
snapshot: $(GORELEASER) $(CYCLONEDX) ## make what a release is made of, in dist/release: archives, checksums, SBOMs
	PATH="$(CURDIR)/$(dir $(CYCLONEDX)):$$PATH" COMMIT='$(COMMIT)' DATE='$(DATE)' $(GORELEASER) release $(SNAPSHOT) --clean
	SERVICE_COURIER_TEST_RELEASE=$(CURDIR)/dist/release $(GO) test -count=1 ./test/release

SEED    ?= 0
MINUTES ?= 60

.PHONY: chaos
chaos: ## let faults of every kind fall at random: MINUTES=60, SEED=0 (a new one)
	$(GO) test -count=1 -v -timeout 0 ./test/faults -run 'TestChaos$$' -soak $(MINUTES)m -seed $(SEED)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## run the linters and see that the code is formatted
	$(GOLANGCI_LINT) run ./...
	cd test/kubernetes && GOFLAGS="$$GOFLAGS -mod=mod" ../../$(GOLANGCI_LINT) run ./...

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## format the code
	$(GOLANGCI_LINT) fmt ./...

.PHONY: fmt-check
fmt-check: $(GOFUMPT)
	@unformatted=$$($(GOFUMPT) -l .); if [ -n "$$unformatted" ]; then \
		printf 'not formatted (make fmt mends it):\n%s\n' "$$unformatted"; exit 1; fi

.PHONY: ci
ci: ## run what continuous integration runs
	.ci/run

# A tool's file is named after its version, so that a new pin is a new target.
$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@

$(GOFUMPT):
	GOBIN=$(CURDIR)/bin $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	mv bin/gofumpt $@

$(GORELEASER):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION)
	mv bin/goreleaser $@

# In a folder of its own: goreleaser looks for it by its name.
$(CYCLONEDX):
	GOBIN=$(CURDIR)/$(dir $@) $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)

$(SCHEMATHESIS)/bin/schemathesis: test/api/requirements.txt
	python3 -m venv --clear $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
