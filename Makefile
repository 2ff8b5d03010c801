# `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The version that the binary tells; a clone without tags, or no clone at all, has one too.
VERSION := $(shell git describe --always --dirty --tags 2>/dev/null || echo dev)
GOLANGCI_VERSION := v2.15.0
NFPM_VERSION := v2.45.0
CYCLONEDX_VERSION := v1.7.0
GOVULNCHECK_VERSION := v1.8.0

BIN := bin/gitlab-go-executor
GOLANGCI := .cache/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint
NFPM := .cache/nfpm-$(NFPM_VERSION)/nfpm
CYCLONEDX := .cache/cyclonedx-gomod-$(CYCLONEDX_VERSION)/cyclonedx-gomod
GOVULNCHECK := .cache/govulncheck-$(GOVULNCHECK_VERSION)/govulncheck
GENERATED := .cache/generated
# Static binaries that know no path of this machine. Linters and tests are told the same, so that what they share is compiled once.
STATIC = CGO_ENABLED=0 GOFLAGS=-trimpath
GO_BUILD = $(STATIC) go build -ldflags '-s -w -X main.version=$(VERSION)'

# What the end-to-end tests run; they find it by themselves too.
export GGE_BIN := $(CURDIR)/$(BIN)
export GGE_RUNNER_JOB := $(CURDIR)/testdata/runner/bin/runner-job

# step echoes a command's purpose, and afterwards its time: $(call step,purpose,command).
step = @echo "==> $(1)"; SECONDS=0; $(2); echo "    $(1): $$SECONDS s"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/gitlab-go-executor, a static binary
	$(GO_BUILD) -o $(BIN) ./cmd/gitlab-go-executor

.PHONY: build-all
build-all: ## build for every platform that we release for
	GOOS=linux GOARCH=amd64 $(GO_BUILD) -o $(BIN)-linux-amd64 ./cmd/gitlab-go-executor
	GOOS=linux GOARCH=arm64 $(GO_BUILD) -o $(BIN)-linux-arm64 ./cmd/gitlab-go-executor

.PHONY: man
man: build ## write a man page for each command to .cache/generated/man
	@rm -rf $(GENERATED)/man; SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || date +%s) $(BIN) man $(GENERATED)/man; gzip -9n $(GENERATED)/man/*

.PHONY: completion
completion: build ## write completions for bash, zsh and fish to .cache/generated/completion
	@mkdir -p $(GENERATED)/completion; for shell in bash zsh fish; do $(BIN) completion $$shell >$(GENERATED)/completion/gitlab-go-executor.$$shell; done

# The tool that makes packages is built like the linters. Newer ones need modules that proxy.golang.org does not serve.
$(NFPM):
	$(call step,building nfpm $(NFPM_VERSION),$(STATIC) GOBIN=$(CURDIR)/$(@D) GOTOOLCHAIN=local \
		go install -ldflags '-s -w' github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION))

.PHONY: packages
packages: build-all man completion $(NFPM) ## build deb and rpm packages for every platform into dist/
	$(call step,packages,packaging/build.sh $(VERSION) $(NFPM))

# What lists the modules of a binary. By a module of its own: go install would have proxy.golang.org list versions, which it does not for this one.
$(CYCLONEDX):
	@mkdir -p $(@D); cd $(@D); module=github.com/CycloneDX/cyclonedx-gomod; \
		printf 'module tools\n\ntool %s\n\nrequire %s %s\n' $$module/cmd/cyclonedx-gomod $$module $(CYCLONEDX_VERSION) >go.mod
	$(call step,building cyclonedx-gomod $(CYCLONEDX_VERSION),cd $(@D) && export GOWORK=off GOTOOLCHAIN=local $(STATIC) && go mod tidy && \
		go build -ldflags '-s -w' -o . github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)

.PHONY: release
release: build-all man completion $(NFPM) $(CYCLONEDX) ## build packages, archives, SBOMs and checksums for every platform into dist/
	$(call step,release,packaging/build.sh --release $(CYCLONEDX) $(VERSION) $(NFPM))

.PHONY: check-release
check-release: $(NFPM) $(CYCLONEDX) ## build the release of the last commit twice, elsewhere, and compare
	$(call step,release twice,NFPM=$(CURDIR)/$(NFPM) CYCLONEDX=$(CURDIR)/$(CYCLONEDX) scripts/check-release.sh)

# Of newer ones proxy.golang.org does not serve every module.
$(GOVULNCHECK):
	$(call step,building govulncheck $(GOVULNCHECK_VERSION),$(STATIC) GOBIN=$(CURDIR)/$(@D) GOTOOLCHAIN=local \
		go install -ldflags '-s -w' golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION))

# It needs https://vuln.go.dev, or a copy of https://github.com/golang/vulndb: make vuln VULN_DB=file:///path/to/vulndb/data/osv
VULN_DB := https://vuln.go.dev
.PHONY: vuln
vuln: $(GOVULNCHECK) ## look for known vulnerabilities in what the program calls
	$(call step,vuln,$(STATIC) scripts/vuln.sh $(GOVULNCHECK) $(VULN_DB))

.PHONY: job-image
job-image: ## build local/golang:<Go version>, an image to run Go jobs in
	@scripts/job-image.sh

.PHONY: helper-image
helper-image: ## build local/gitlab-runner-helper:<Runner version>
	@scripts/helper-image.sh

.PHONY: test-images
test-images: ## build the further images that the tests use
	$(call step,images,scripts/test-images.sh)

.PHONY: test-runner
test-runner: test-images ## build the parts of GitLab Runner that the tests use
	$(call step,GitLab Runner for the tests,testdata/runner/build.sh)

.PHONY: test-stores
test-stores: ## build the S3 servers that the tests use
	$(call step,S3 servers for the tests,testdata/s3/build.sh)

.PHONY: test-registry
test-registry: ## build the image registry that the tests use
	$(call step,image registry for the tests,testdata/registry/build.sh)

.PHONY: test-prometheus
test-prometheus: ## unpack Prometheus for the tests
	$(call step,Prometheus for the tests,testdata/prometheus/unpack.sh)

.PHONY: setup
setup: ## install what building and testing need (Debian, Ubuntu), start Docker
	$(call step,setup,scripts/setup.sh)

# A release of golangci-lint that is built by the Go at hand checks code of that Go.
$(GOLANGCI):
	$(call step,building golangci-lint $(GOLANGCI_VERSION),$(STATIC) GOBIN=$(CURDIR)/$(@D) GOTOOLCHAIN=local \
		go install -ldflags '-s -w' github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION))

.PHONY: lint
lint: $(GOLANGCI) ## run the linters
	$(call step,lint,$(STATIC) $(GOLANGCI) run --allow-serial-runners)

.PHONY: fmt
fmt: $(GOLANGCI) ## format the code
	$(GOLANGCI) fmt

.PHONY: test
test: setup ## run linters, unit tests, and end-to-end tests with Docker and GitLab Runner
	@echo "==> building what the tests need, and linting, side by side"
	@$(MAKE) -s -j3 --output-sync lint test-runner test-stores test-registry test-prometheus build
	$(call step,go test,GGE_JOB_IMAGE=$$(scripts/job-image.sh) GGE_HELPER_IMAGE=$$(scripts/helper-image.sh) \
		$(STATIC) scripts/in-memory.sh go test -count=1 -timeout 30m -parallel 4 -vet=off ./executor/e2e ./...)

# Each function has so many executions, or a time such as 60s. CI has 2000x: a minute on two processors, and two more where nothing is compiled yet.
FUZZ_EXECS ?= 20000x
.PHONY: fuzz
fuzz: ## fuzz what reads bytes of others: FUZZ_EXECS executions, or a time such as 60s, of each function
	$(call step,fuzzing,FUZZ_EXECS=$(FUZZ_EXECS) $(STATIC) scripts/fuzz.sh $(FUZZ_PACKAGES))

# The race detector needs cgo, and slows what measures a time, and pages of very many jobs, which have a deadline. What needs Docker is all in
# executor/e2e, whose executor is a process of its own.
.PHONY: test-race
test-race: setup test-stores test-prometheus ## run the unit tests under the race detector (root, 12 minutes)
	$(call step,race detector,CGO_ENABLED=1 GOFLAGS=-trimpath scripts/in-memory.sh \
		go test -race -count=1 -timeout 30m -vet=off -skip 'InNoTime$$|TestPagesInABrowser/full$$' $$(go list ./... | grep -v /executor/e2e$$))

.PHONY: demo
demo: setup build ## run the sample service's CI job twice and compare
	$(call step,job image,scripts/job-image.sh)
	@scripts/demo.sh

.PHONY: bench-peers
bench-peers: bin/bench ## measure restores and saves of caddy's caches beside GitLab Runner's own (root, 15 minutes)
	$(call step,GitLab Runner for the benchmark,testdata/runner/build.sh)
	@bin/bench $(BENCH_FLAGS)

.PHONY: bench-commits
bench-commits: bin/bench ## measure what fifty commits to caddy in a row cost, and what the caches grow to (root, 20 minutes)
	@bin/bench -commits 50 $(BENCH_FLAGS)

.PHONY: bench-lint
bench-lint: setup build $(GOLANGCI) ## measure golangci-lint on GGE_BENCH_MODULE with an empty and with a filled cache (root, 5 minutes)
	$(call step,job image,scripts/job-image.sh)
	@GGE_GOLANGCI=$(CURDIR)/$(GOLANGCI) scripts/bench-lint.sh

.PHONY: bench-overhead
bench-overhead: setup build test-runner ## measure a job that does nothing beside GitLab's docker executor (root, 5 minutes)
	@GGE_JOB_IMAGE=$$(scripts/job-image.sh) GGE_HELPER_IMAGE=$$(scripts/helper-image.sh) \
		$(STATIC) go test -count=1 -timeout 20m -vet=off -tags parity,bench ./executor/e2e -run TestTimesOfATrivialJob -v | grep x

.PHONY: bench-job
bench-job: setup build test-runner test-stores ## measure a job that builds and vets GGE_BENCH_MODULE beside GitLab's docker executor (root, 10 minutes)
	@GGE_JOB_IMAGE=$$(scripts/job-image.sh) GGE_HELPER_IMAGE=$$(scripts/helper-image.sh) \
		$(STATIC) go test -count=1 -timeout 30m -vet=off -tags parity,bench ./executor/e2e -run TestTimesOfAWarmJob -v | grep ' s$$'

.PHONY: bench-stats
bench-stats: setup build test-runner ## measure what counting hits, the ledger and metrics cost a warm job of GGE_BENCH_MODULE (root, 10 minutes)
	@GGE_JOB_IMAGE=$$(scripts/job-image.sh) GGE_HELPER_IMAGE=$$(scripts/helper-image.sh) \
		$(STATIC) go test -count=1 -timeout 30m -vet=off -tags parity,bench ./executor/e2e -run TestTimesOfCounting -v | grep ' s'

.PHONY: test-parity
test-parity: setup build test-runner test-stores test-registry ## run jobs under GitLab's docker executor and ours, and compare
	$(call step,parity,GGE_JOB_IMAGE=$$(scripts/job-image.sh) GGE_HELPER_IMAGE=$$(scripts/helper-image.sh) \
		$(STATIC) go test -count=1 -timeout 45m -parallel 4 -vet=off -tags parity ./executor/e2e -run UnderTheDockerExecutor)

# Everything takes half an hour; a seed and a share choose less: make test-faults FAULT_SEED=7 FAULT_SHARE=10 tries a tenth of the cases.
FAULT_SEED := 1
FAULT_SHARE := 1
.PHONY: test-faults
test-faults: setup test-runner test-stores test-registry ## kill, cancel, starve and deceive everything: all of it, or one case in FAULT_SHARE, drawn by FAULT_SEED
	@$(STATIC) go build -tags faults -ldflags '-X main.version=$(VERSION)' -o $(BIN)-faults ./cmd/gitlab-go-executor
	$(call step,faults,GGE_BIN=$(CURDIR)/$(BIN)-faults GGE_JOB_IMAGE=$$(scripts/job-image.sh) GGE_HELPER_IMAGE=$$(scripts/helper-image.sh) \
		GGE_FAULT_SEED=$(FAULT_SEED) GGE_FAULT_SHARE=$(FAULT_SHARE) $(STATIC) scripts/in-memory.sh scripts/test-faults.sh $(FAULT_PACKAGES))

.PHONY: test-install
test-install: setup build man completion test-runner $(NFPM) ## install packages in a fresh Debian, register a runner, run jobs, upgrade, remove
	$(call step,the whole GitLab Runner,testdata/runner/build.sh --full)
	$(call step,installation,GGE_NFPM=$(CURDIR)/$(NFPM) GGE_JOB_IMAGE=$$(scripts/job-image.sh) GGE_HELPER_IMAGE=$$(scripts/helper-image.sh) \
		$(STATIC) go test -count=1 -timeout 15m -vet=off -tags install ./executor/e2e -run 'DebianPackage|RPM|ByHand')

.PHONY: bin/bench
bin/bench: setup
	$(call step,MinIO for the benchmark,GCFLAGS= testdata/s3/build.sh .cache/s3)
	@mkdir -p bin; go build -o bin/bench ./scripts/bench

.PHONY: clean
clean: ## remove what was built, but no image
	rm -rf bin dist .cache testdata/prometheus/bin testdata/registry/bin testdata/runner/bin testdata/s3/bin
