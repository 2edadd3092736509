# `make help` lists the targets. Tools are pinned here and installed into ./bin on
# first use; they are not in go.mod, since the service does not need them.

GOLANGCI_LINT_VERSION := v2.15.0
GOFUMPT_VERSION       := v0.12.0
GORELEASER_VERSION    := v2.15.1
CYCLONEDX_VERSION     := v1.10.0
BUF_VERSION           := v1.75.0
PROTOC_GEN_GO_VERSION      := v1.36.12
PROTOC_GEN_GO_GRPC_VERSION := v1.6.2
GOVULNCHECK_VERSION   := v1.9.0
SCHEMATHESIS_VERSION  := 4.32.5

GO            ?= go
GOLANGCI_LINT := bin/golangci-lint-$(GOLANGCI_LINT_VERSION)
SCHEMATHESIS  := bin/schemathesis-$(SCHEMATHESIS_VERSION)
GOFUMPT       := bin/gofumpt-$(GOFUMPT_VERSION)
GORELEASER    := bin/goreleaser-$(GORELEASER_VERSION)
PROTOC_TOOLS  := bin/protoc-$(BUF_VERSION)-$(PROTOC_GEN_GO_VERSION)-$(PROTOC_GEN_GO_GRPC_VERSION)
GOVULNCHECK   := bin/govulncheck-$(GOVULNCHECK_VERSION)
CYCLONEDX     := bin/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod

# Stamped into images and releases.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE    ?= $(shell TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo 1970-01-01T00:00:00Z)

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: dev
dev: ## run the service with embedded Kafka, PostgreSQL and service-order
	$(GO) run ./cmd/service-courier dev

.PHONY: build
build: ## build both programs into ./bin
	$(GO) build -o bin/ ./cmd/...

# The release has Linux and macOS; Windows has everything but dev.
.PHONY: build-windows
build-windows: ## build both programs for Windows, to see that they compile
	GOOS=windows CGO_ENABLED=0 $(GO) build -o dist/windows/ ./cmd/...

.PHONY: test
test: ## run the tests on an embedded Kafka and a real PostgreSQL
	$(GO) test ./...

# kafka-packages: the packages whose tests import test/realkafka.
# -p 1: two brokers at once are slower than one after the other.
.PHONY: test-kafka
test-kafka: ## run the tests on a real Kafka (Java 17 or newer, Maven)
	SERVICE_COURIER_TEST_KAFKA=1 $(GO) test -count=1 -p 1 -timeout 10m $$($(MAKE) -s kafka-packages)

.PHONY: test-tls
test-tls: ## test TLS, SASL and permissions on a real Kafka and PostgreSQL
	SERVICE_COURIER_REQUIRE_KAFKA=1 $(GO) test -count=1 -timeout 10m ./test/e2e -run '^TestSecure'

# The upgrade test does not depend on the kind of Kafka.
.PHONY: test-zookeeper
test-zookeeper: ## run both programs end to end on Kafka 3.9 with ZooKeeper
	SERVICE_COURIER_REQUIRE_KAFKA=1 SERVICE_COURIER_TEST_KAFKA_FLAVOUR=zookeeper $(GO) test -count=1 -timeout 10m ./test/e2e \
		-run '^TestTogether$$' -skip '/^a_rolling_upgrade$$'

.PHONY: kafka-packages
kafka-packages:
	@$(GO) list -test -f '{{if .ForTest}}{{.ForTest}} {{join .Deps " "}}{{end}}' ./... \
		| awk '/ service-courier\/test\/realkafka( |$$)/ || $$1 ~ /\/test\/realkafka$$/ { print $$1 }' | sort -u

.PHONY: test-api
test-api: $(SCHEMATHESIS)/bin/schemathesis ## test the API against its OpenAPI document with schemathesis (Python 3.10)
	SERVICE_COURIER_SCHEMATHESIS=$(CURDIR)/$< $(GO) test -count=1 ./test/api -run TestSchemathesis

.PHONY: test-web
test-web: ## test the pages in a browser (Chromium)
	CI=true $(GO) test -count=1 ./internal/transport/web ./test/web

.PHONY: web-libs
web-libs: ## fetch the pages' libraries again, in the versions of their manifest (npm)
	$(GO) run ./internal/transport/web/refresh internal/transport/web/lib/manifest.json

.PHONY: screenshots
screenshots: ## write pictures of the pages of a running dev (URL=http://127.0.0.1:8082) to docs/images
	$(GO) run ./test/web/screenshots -url $(or $(URL),http://127.0.0.1:8082)

.PHONY: test-all
test-all: ## run also the tests that otherwise only CI runs; a missing program fails its test
	CI=true $(GO) test ./...

.PHONY: test-race
test-race: ## run the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race ./...

.PHONY: docs
docs: ## write the generated documents: docs/errors.md, docs/openapi.json, docs/asyncapi.json, docs/schema.md
	$(GO) test ./internal/transport/rest -run Documented -update
	$(GO) test ./internal/storage/postgres -run Documented -update
	cp internal/transport/kafka/asyncapi.json docs/asyncapi.json

# A test compares the generated code with orders.proto, without these tools.
.PHONY: proto
proto: $(PROTOC_TOOLS)/buf ## generate the code of service-order's gRPC API
	cd internal/ordersv1 && PATH=$(CURDIR)/$(PROTOC_TOOLS):$$PATH buf generate

.PHONY: bench
bench: ## measure throughput and latency with real Kafka and PostgreSQL
	$(GO) run ./test/bench

# go test runs one fuzz test at a time.
FUZZTIME ?= 20s

.PHONY: fuzz
fuzz: ## fuzz the event decoder, the order id check and the phones: FUZZTIME=20s each
	$(GO) test ./internal/transport/kafka -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(FUZZTIME)
	$(GO) test ./internal/courier -run '^$$' -fuzz '^FuzzParseOrderID$$' -fuzztime $(FUZZTIME)
	$(GO) test ./internal/phone -run '^$$' -fuzz '^FuzzNormalize$$' -fuzztime $(FUZZTIME)

.PHONY: mutants
mutants: ## remove each guard in a copy of the sources and check that a test fails
	$(GO) run ./test/mutants

# mod=mod: the test module replaces this module, whose dependencies it lacks in its
# go.sum. count=1: the test cache does not track files outside the tested module.
.PHONY: test-kubernetes
test-kubernetes: ## validate the manifests as Kubernetes does, and compare them with KEDA's schema and the code
	cd test/kubernetes && export GOFLAGS="$$GOFLAGS -mod=mod" && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: test-upgrade
test-upgrade: ## exchange two builds under load, and back (Java 17 or newer, Maven, git)
	SERVICE_COURIER_REQUIRE_KAFKA=1 $(GO) test -count=1 -v -timeout 10m ./test/e2e -run 'TestTogether/a_rolling_upgrade'

.PHONY: up
up: ## start compose.yaml, with the version in the images
	VERSION='$(VERSION)' COMMIT='$(COMMIT)' DATE='$(DATE)' docker compose up --build --wait

# Not run, and no failure, where no container engine can run.
.PHONY: test-containers
test-containers: ## run the compose files and images on a Docker of their own (root, Debian, Maven)
	SERVICE_COURIER_TEST_CONTAINERS=1 $(GO) test -count=1 -v -timeout 20m ./test/containers

.PHONY: image
image: ## build the OCI images of both programs without a container engine
	$(GO) run ./deploy/image -out dist/image -version '$(VERSION)' -commit '$(COMMIT)' -date '$(DATE)'

.PHONY: test-image
test-image: ## check the images: files, configuration, and that they can be reproduced
	CI=true $(GO) test -count=1 ./deploy/image

SNAPSHOT ?= --snapshot

.PHONY: snapshot
snapshot: $(GORELEASER) $(CYCLONEDX) ## build the release archives, checksums and SBOMs in dist/release
	PATH="$(CURDIR)/$(dir $(CYCLONEDX)):$$PATH" COMMIT='$(COMMIT)' DATE='$(DATE)' $(GORELEASER) release $(SNAPSHOT) --clean
	SERVICE_COURIER_TEST_RELEASE=$(CURDIR)/dist/release $(GO) test -count=1 ./test/release

SEED    ?= 0
MINUTES ?= 60

.PHONY: chaos
chaos: ## run the chaos test: MINUTES=60, SEED=0 (0: a new seed)
	CI=true $(GO) test -count=1 -v -timeout 0 ./test/faults -run 'TestChaos$$' -soak $(MINUTES)m -seed $(SEED)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## run the linters
	$(GOLANGCI_LINT) run ./...
	cd test/kubernetes && GOFLAGS="$$GOFLAGS -mod=mod" ../../$(GOLANGCI_LINT) run ./...

.PHONY: vulnerabilities
vulnerabilities: $(GOVULNCHECK) ## check code and modules for known vulnerabilities (needs vuln.go.dev)
	$(GOVULNCHECK) $(GOVULNCHECKFLAGS) ./...

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## format the code
	$(GOLANGCI_LINT) fmt ./...

.PHONY: fmt-check
fmt-check: $(GOFUMPT)
	@unformatted=$$($(GOFUMPT) -l .); if [ -n "$$unformatted" ]; then \
		printf 'not formatted (make fmt fixes it):\n%s\n' "$$unformatted"; exit 1; fi

.PHONY: ci
ci: ## run everything that CI runs
	.ci/run

# A tool's file name has its version, so that a new pin is a new target.
$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv bin/golangci-lint $@

$(GOFUMPT):
	GOBIN=$(CURDIR)/bin $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	mv bin/gofumpt $@

$(GORELEASER):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/goreleaser/goreleaser/v2@$(GORELEASER_VERSION)
	mv bin/goreleaser $@

$(GOVULNCHECK):
	GOBIN=$(CURDIR)/bin $(GO) install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv bin/govulncheck $@

# In its own folder: goreleaser finds it by its file name.
$(CYCLONEDX):
	GOBIN=$(CURDIR)/$(dir $@) $(GO) install github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_VERSION)

# In a folder of their own: buf finds the plugins by their names.
$(PROTOC_TOOLS)/buf:
	GOBIN=$(CURDIR)/$(PROTOC_TOOLS) $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO_VERSION)
	GOBIN=$(CURDIR)/$(PROTOC_TOOLS) $(GO) install google.golang.org/grpc/cmd/protoc-gen-go-grpc@$(PROTOC_GEN_GO_GRPC_VERSION)
	GOBIN=$(CURDIR)/$(PROTOC_TOOLS) $(GO) install github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)

$(SCHEMATHESIS)/bin/schemathesis: test/api/requirements.txt
	python3 -m venv --clear $(SCHEMATHESIS)
	$(SCHEMATHESIS)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
