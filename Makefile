# The commands for users of a clone. Each target sets up what it needs, and repeats nothing.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
FEED ?= examples/feed.yaml
BIN := .venv/bin
DOCKER ?= docker
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' core/pyproject.toml)
IMAGES := operator producer consumer verifier simulator api alerter analyzer exporter history spark connect all-in-one
# Setting up has its own time limits, separate from the tests'. Its progress is shown.
E2E := .venv/bin/pytest tests/e2e -v -s -o timeout_func_only=true --durations 0 --durations-min 5
PACKAGES := core control exchanges adapters services/producer services/consumer services/verifier services/exporter services/simulator services/api services/alerter services/analyzer services/history sinks/spark operators local grafana

# pip's hundreds of lines, reduced to one for each package.
SHORTEN = sed -u -n -E 's/^Collecting ([^ ;]+).*/  \1/p; s/^(Successfully installed).*/  \1/p; /^(ERROR|error)/p'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: setup ## set up what is missing, start everything, capture, show live figures; Ctrl-C stops it (FEED=file)
	@$(BIN)/cryptocdc run -f $(FEED)

.PHONY: stop
stop: ## stop every server and program; the data stays
	@if [ -x $(BIN)/cryptocdc ]; then $(BIN)/cryptocdc down; fi

.PHONY: clean
clean: stop ## stop, then remove data, logs and passwords; downloads and .venv stay
	@if [ -x $(BIN)/cryptocdc ]; then $(BIN)/cryptocdc erase; fi

.PHONY: setup
setup: .venv/.packages ## install what is missing: Python packages, Java, the servers' programs
	@$(BIN)/cryptocdc setup

# Unit tests need neither Java nor a server. All tests run in two workers: one has the servers, the other the unit tests.
.PHONY: test
test: .venv/.dev $(if $(filter tests/unit%,$(firstword $(ARGS))),,setup) ## run the tests (ARGS="-k name" for some of them)
	@$(BIN)/pytest $(or $(ARGS),-n 2)

.PHONY: check
check: .venv/.dev ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(PACKAGES:%=%/src) tests
	@$(BIN)/lint-imports
	@$(BIN)/python -m cryptocdc_grafana --check

.PHONY: bench
bench: .venv/.dev setup ## benchmark, compared with a pipeline as in tutorials (ARGS="--only growth"); writes bench/out/report.json
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bench-sinks
bench-sinks: .venv/.dev setup ## benchmark of the sink engines and the tutorials' way; writes bench/out/sinks.json
	@$(BIN)/python -m bench.sinks $(ARGS)

.PHONY: bench-connectors
bench-connectors: .venv/.dev setup ## benchmark of a feed with one connector and with two; writes bench/out/connectors.json
	@$(BIN)/python -m bench.connectors $(ARGS)

.PHONY: bench-export
bench-export: .venv/.dev setup ## benchmark of `cryptocdc export` and of DuckDB on its files; writes bench/out/export.json
	@$(BIN)/python -m bench.export $(ARGS)

.PHONY: screenshots
screenshots: .venv/.dev setup ## retake the live page's screenshots in Debian's chromium; writes docs/img/*.png
	@$(BIN)/python -m bench.screenshots

.PHONY: soak
soak: .venv/.dev setup ## 20 symbols for five minutes, by each sink engine while every part is killed, two connectors while parts fail, each venue with faults, engines changed under load, Spark killed, tables recomputed by it, 500 order books, a month loaded from an archive, what takes a minute or more; all proven equal
	@$(BIN)/pytest -m soak -s $(ARGS)

.PHONY: faults
faults: .venv/.dev setup ## named faults under load, each proven: docs/faults.md (ARGS="link-flaps --seed 7", --list); writes tests/faults/out/report.json
	@$(BIN)/python -m tests.faults $(ARGS)

.PHONY: psql
psql: .venv/.packages ## PostgreSQL's shell, logged in
	@$(BIN)/cryptocdc shell psql

.PHONY: cql
cql: .venv/.packages ## Cassandra's shell, logged in
	@$(BIN)/cryptocdc shell cql

.PHONY: topics
topics: .venv/.packages ## Kafka's topics, records and lag (TOPIC=name for its last records)
	@$(BIN)/cryptocdc shell topics $(TOPIC)

.PHONY: rows
rows: .venv/.packages ## generate the producer's typed rows from the catalogue
	@$(BIN)/python -m cryptocdc_core.rows.generate > core/src/.typed.py && mv core/src/.typed.py core/src/cryptocdc_core/rows/typed.py

.PHONY: crd
crd: .venv/.packages ## generate the chart's CustomResourceDefinition from the feed's model
	@$(BIN)/python -m cryptocdc_operator.crd > charts/files/.crd.yaml && mv charts/files/.crd.yaml charts/files/crd.yaml

.PHONY: chart
chart: .venv/.packages ## generate the chart's schema and its README's table from the comments in values.yaml
	@$(BIN)/python charts/describe.py

.PHONY: operators
operators: ## install Strimzi, CloudNativePG, K8ssandra and cert-manager into the cluster of kubectl's context (WITH=spark: Spark's CRDs as well)
	@manifests/operators/install.sh $(WITH)

.PHONY: images
images: $(IMAGES:%=image-%) ## build the programs' images (docs/images.md: BASE_IMAGE, BUILD_IMAGE, CONNECT_BASE_IMAGE, DOCKER)

.PHONY: $(IMAGES:%=image-%)
$(IMAGES:%=image-%): image-%:
	@echo 'cryptocdc/$*:$(VERSION)'
	@$(DOCKER) build --file images/$*.Dockerfile --tag cryptocdc/$*:$(VERSION) $(BUILD_FLAGS) \
		$(if $(filter all-in-one,$*),--tag cryptocdc/$*) \
		$(addprefix --build-arg BASE_IMAGE=,$(if $(filter connect,$*),$(CONNECT_BASE_IMAGE),$(BASE_IMAGE))) \
		$(addprefix --build-arg BUILD_IMAGE=,$(BUILD_IMAGE)) .

.PHONY: kind-up
kind-up: .venv/.dev ## create a kind cluster with the platform and the chart, ready for a feed (context kind-cryptocdc)
	@$(BIN)/python -m tests.e2e.environment up

.PHONY: kind-down
kind-down: .venv/.dev ## remove that cluster
	@$(BIN)/python -m tests.e2e.environment down

.PHONY: e2e
e2e: .venv/.dev ## end-to-end tests on kind, or in KUBECONFIG's cluster if it is a kind cluster (ARGS="-k name")
	@$(E2E) -m e2e $(ARGS)

.PHONY: grafana
grafana: .venv/.packages ## run the installed Grafana with the dashboards
	@$(BIN)/cryptocdc grafana

.PHONY: dashboards
dashboards: .venv/.dev ## generate Grafana's dashboards and alert rules from their sources
	@$(BIN)/python -m cryptocdc_grafana

.PHONY: e2e-all
e2e-all: .venv/.dev ## the same, plus bad feeds, every edit, lost slots, upgrades, drains, on three nodes: about an hour
	@CRYPTOCDC_E2E_WORKERS=$${CRYPTOCDC_E2E_WORKERS:-2} $(E2E) -m 'e2e or e2e_all' $(ARGS)

.PHONY: lock
lock: .venv/.dev ## resolve requirements/*.in to *.txt again, with hashes
	@$(BIN)/pip install --quiet pip-tools==7.6.2
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
		--output-file requirements/runtime.txt requirements/runtime.in
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
		--output-file requirements/export.txt requirements/export.in
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
		--output-file requirements/dev.txt requirements/dev.in
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
		--output-file requirements/spark.txt requirements/spark.in
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
		--output-file requirements/s3.txt requirements/s3.in

# Each stamp is written last, so that an interrupted step is repeated.

.venv/.made:
	@command -v $(PYTHON) >/dev/null || { echo 'Python 3.11 or later is needed: make PYTHON=/path/to/python3.11'; exit 3; }
	@$(PYTHON) -I local/src/cryptocdc_local/platform/system.py # -I: the folder has a file named platform.py
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		sudo=; [ "$$(id -u)" = 0 ] || sudo='sudo -n'; \
		echo 'installing python3-venv'; \
		{ $$sudo apt-get update -q && $$sudo apt-get install -y -q python3-venv; } >/dev/null 2>&1 || \
		{ echo "python3-venv is missing; run: $${sudo:+sudo }apt-get install python3-venv"; exit 3; }; }
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/.packages: .venv/.made requirements/runtime.txt $(PACKAGES:%=%/pyproject.toml)
	@echo 'Python packages (about a minute)'
	@$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements/runtime.txt 2>&1 | $(SHORTEN)
	@$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation $(PACKAGES:%=-e %)
	@touch $@

.venv/.dev: .venv/.packages requirements/dev.txt requirements/s3.txt
	@echo 'Python packages for tests and checks'
	@$(BIN)/pip install --disable-pip-version-check --require-hashes -r requirements/dev.txt 2>&1 | $(SHORTEN)
	@rm -rf .venv/s3
	@$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes --no-deps --target .venv/s3 -r requirements/s3.txt
	@touch $@
