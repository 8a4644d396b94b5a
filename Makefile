# The tasks of this repository; `make` lists them. They need Go and a C compiler (for DuckDB and SQLite). Nothing else
# is installed by hand.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
export CGO_ENABLED = 1

# The binary contains tag and commit if this is a git checkout that git trusts.
VCS := $(shell git status --porcelain >/dev/null 2>&1 && echo auto || echo false)

CONSOLE := .cache/console

# The linter's version is pinned. It is built once, into .cache.
LINT_VERSION := v2.11.4
LINT         := .cache/golangci-lint-$(LINT_VERSION)/golangci-lint

# The same holds for the vulnerability check. It queries the Go vulnerability database.
VULN_VERSION := v1.1.4
VULN         := .cache/govulncheck-$(VULN_VERSION)/govulncheck

RACE     ?=        # RACE=1 runs tests under the race detector
PACKAGES ?= ./...
RUN      ?= .      # RUN=TestName runs tests whose names match
SKIP     ?= ^$$     # SKIP=TestName skips tests whose names match
FUZZ     ?= Fuzz.*  # FUZZ=pattern fuzzes the targets of that name
FUZZTIME ?= 30s    # of each fuzz target
TRIPLES  ?= 200000 # cases of the sensitivity property in test-nightly
CUTS     ?= 1h    # for how long test-nightly cuts every hospital's line each 10 s
TIMEOUT  ?= 30m    # of each package's tests

ifeq ($(strip $(RACE)),1)
race := -race
# For the daemons that integration starts.
export INTRAMUROS_RACE = 1
endif

.PHONY: check-package help build demo test test-full test-versions test-trino test-trino-adversary statements test-nightly test-clients test-superset test-console lint fmt utility coverage bench bench-parts bench-peers bench-trino fuzz vulncheck package clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@awk '/^[A-Z]+ +\?= .*# / { name = $$1; sub(/.*# /, ""); printf "  %-15s %s\n", name, $$0 }' $(MAKEFILE_LIST)

build: ## the binary, at dist/intramuros
	$(GO) build -trimpath -buildvcs=$(VCS) -ldflags='-s -w' -o dist/intramuros.partial ./cmd/intramuros
	@mv dist/intramuros.partial dist/intramuros

demo: build ## five synthetic hospitals and a coordinator on this machine, and a tour of questions
	./dist/intramuros demo

# Results never come from Go's cache, which would not notice another binary or other data under integration.
test: ## all tests
	$(GO) test $(race) -count=1 -timeout $(strip $(TIMEOUT)) -run '$(strip $(RUN))' -skip '$(strip $(SKIP))' $(PACKAGES)

test-full: ## all tests, with the long ones: every hospital of the eICU demo, repeated releases
	INTRAMUROS_FULL=1 $(GO) test $(race) -count=1 -timeout 60m -run '$(strip $(RUN))' $(PACKAGES)

# The last release's program runs in federations with the current one, as node and as coordinator, and answers each
# question of the cookbook. Until a release is tagged, the last commit with version 2 of the wire replaces it.
LAST   := .cache/last-release
BEFORE := 64060ba4ce578a4f492742cdcc9aca833f84e07b
test-versions: ## this program and the last release's in one federation, over the cookbook
	@tag=$$(git describe --tags --abbrev=0 2>/dev/null || echo $(BEFORE)); \
	git cat-file -e "$$tag^{commit}" 2>/dev/null || { echo "test-versions: this clone lacks $$tag, so there is nothing to compare with"; exit 0; }; \
	rm -rf $(LAST) && mkdir -p $(LAST) && git archive "$$tag" | tar -x -C $(LAST) && \
	(cd $(LAST) && $(GO) build -o intramuros ./cmd/intramuros) && \
	INTRAMUROS_OLD=$(abspath $(LAST))/intramuros $(GO) test -count=1 -v -timeout $(strip $(TIMEOUT)) -run '^TestLastRelease$$' ./integration

TRINO := .cache/trino-435
TRINO_POSTGRES := .cache/trino-368

test-trino: $(TRINO)/.done $(TRINO_POSTGRES)/.done ## the engines' suite and a mixed federation against a real Trino; needs Java 17 (JDK) and Maven
	INTRAMUROS_TRINO=$(abspath $(TRINO)) INTRAMUROS_TRINO_POSTGRES=$(abspath $(TRINO_POSTGRES)) $(GO) test -count=1 -v -timeout $(strip $(TIMEOUT)) -run '$(strip $(RUN))' ./node/engine/trino
	INTRAMUROS_TRINO=$(abspath $(TRINO)) $(GO) test -count=1 -v -timeout $(strip $(TIMEOUT)) -run '^TestEngines$$' ./integration
	INTRAMUROS_TRINO=$(abspath $(TRINO)) $(GO) test -count=1 -v -timeout $(strip $(TIMEOUT)) -run '^TestSources$$/trino' ./cmd/intramuros

# Hostile worlds on Trino. In the program under test, a join drops a patient's rows beyond 12.
test-trino-adversary: $(TRINO)/.done ## some cases of the adversary suite against a real Trino
	INTRAMUROS_TRINO=$(abspath $(TRINO)) $(GO) test -count=1 -v -timeout $(strip $(TIMEOUT)) -run '^TestFewRows$$/^trino$$' ./integration/adversary

# This takes a night: 200,000 cases of the sensitivity property, as many on each engine over data that break every
# promise, all mutants, intervals over 10,000 draws each, audits of a million draws, and of ten million for the Gaussian
# sampler.
test-nightly: ## the long properties; repeat a failure with INTRAMUROS_SEED
	INTRAMUROS_TRIPLES=$(strip $(TRIPLES)) $(GO) test -count=1 -timeout 12h -v -run 'TestSensitivity|TestEngineEqualsReference|TestFederationEqualsUnion|TestExactness' ./integration
	INTRAMUROS_TRIPLES=$(strip $(TRIPLES)) INTRAMUROS_FULL=1 $(GO) test -count=1 -timeout 24h -v ./integration/adversary
	INTRAMUROS_COVERAGE=10000 $(GO) test -count=1 -timeout 12h -v -run 'TestIntervalCoverage|TestComputedIntervalsCover' ./planner
	INTRAMUROS_COVERAGE=10000 $(GO) test -count=1 -timeout 1h -v -run TestSurvivalBandsCover ./planner/estimate
	INTRAMUROS_FULL=1 $(GO) test -count=1 -timeout 2h -run 'Audit|Gauss|TooLittleNoise' ./dp ./coordinator
	INTRAMUROS_FULL=1 $(GO) test -count=1 -timeout 4h -v -run 'TestChaos|TestSealedChaos|TestLoad' ./integration
	INTRAMUROS_FULL=1 $(GO) test -count=1 -timeout 1h -v -run '^TestMaskedChaos$$' ./coordinator
	INTRAMUROS_CUTS=$(strip $(CUTS)) $(GO) test -count=1 -timeout 12h -v -run '^TestOutwardCuts$$' ./integration

# Node modules and screenshots are in .cache/console. The browser is the system's. ONLY=pattern runs the tests whose
# names match.
test-console: build ## both consoles in Chromium: keyboard, charts, budgets, approvals, accessibility
	@for tool in node npm $${CHROMIUM:-chromium}; do command -v $$tool >/dev/null || { \
		echo "test-console needs $$tool: apt-get install -y --no-install-recommends nodejs npm chromium fonts-dejavu-core (or CHROMIUM=/path)"; exit 1; }; done
	@node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' || { echo "test-console needs node 20 or later; this is $$(node --version)"; exit 1; }
	@mkdir -p $(CONSOLE)/shots
	@cmp -s integration/console/package-lock.json $(CONSOLE)/installed || { \
		cp integration/console/package.json integration/console/package-lock.json $(CONSOLE) && \
		(cd $(CONSOLE) && npm ci --no-audit --no-fund --silent --prefer-offline --fetch-retries=5 --fetch-retry-mintimeout=2000 --fetch-timeout=60000) && \
		cp integration/console/package-lock.json $(CONSOLE)/installed || \
		{ echo "npm could not install playwright-core and axe-core: is its registry reachable?"; exit 1; }; }
	cd integration/console && INTRAMUROS=$(abspath dist/intramuros) MODULES=$(abspath $(CONSOLE)) SHOTS=$(abspath $(CONSOLE)/shots) \
		node --test --test-reporter=spec $(if $(ONLY),--test-name-pattern='$(ONLY)') words.test.mjs console.test.mjs

lint: $(LINT) ## golangci-lint, with the import directions of ARCHITECTURE.md
	$(LINT) run $(PACKAGES)

fmt: $(LINT) ## format the Go files
	$(LINT) fmt

# The clients are installed once, into .cache. requirements.txt and jars.txt of integration/clients pin their versions.
# The task needs Python, Java, Maven and psql, and says which of them is missing.
CLIENTS := .cache/clients
test-clients: ## the researchers' own tools against a federation: Python, R, psql, JDBC
	integration/clients/install.sh $(abspath $(CLIENTS))
	INTRAMUROS_CLIENTS=$(abspath $(CLIENTS)) $(GO) test -count=1 -v -timeout 15m -run '^TestClients' ./integration

test-superset: ## Superset's own questions and charts against a federation; installs a gigabyte
	integration/clients/install.sh $(abspath $(CLIENTS)) superset
	integration/clients/install.sh $(abspath $(CLIENTS))
	INTRAMUROS_CLIENTS=$(abspath $(CLIENTS)) $(GO) test -count=1 -v -timeout 15m -run '^TestClients$$/^superset$$' ./integration

# SIZES=eicu,middle asks at these sizes only. OTHERS=python also asks SmartNoise and OpenDP (eICU only; it takes
# minutes); this is the Python of an environment with coordinator/testdata/utility's requirements.txt. The task fails if
# a question misses the goal.
SIZES ?= all
utility: ## compare the accuracy of answers with an expert's, and write docs/accuracy.md; EICU=folder of the eICU demo's Parquet files
	INTRAMUROS_UTILITY=$(strip $(SIZES)) INTRAMUROS_EICU='$(strip $(EICU))' INTRAMUROS_UTILITY_OTHERS='$(if $(OTHERS),$(abspath $(OTHERS)))' $(GO) test -count=1 -v -timeout 60m -run '^TestUtility$$' ./coordinator

# FORM=MEDIAN draws only one form.
coverage: ## measure how often intervals cover the exact value, and write the table of docs/privacy.md; takes an hour
	INTRAMUROS_COVERAGE=10000 INTRAMUROS_TABLE=1 $(GO) test -count=1 -timeout 12h -v -run 'TestIntervalCoverage$(if $(FORM),/^$(FORM)$$)' ./planner

statements: ## count the SQL statements of a folder that are answered; DIR=folder of *.sql, with a catalog.yaml unless it is OMOP
	INTRAMUROS_STATEMENTS='$(abspath $(DIR))' $(GO) test -count=1 -v -run '^TestStatements$$' ./planner

# The tables compare the time of each question with the time of the same question without privacy, and show the goal.
# Each question runs as a fragment in one DuckDB, in SQL and as a stream, and over five nodes. Other rows time the
# smallest query, a release of many numbers, many hospitals' answers, and 200 researchers at once. ROWS=2000000 makes a
# short run. The task fails if a row misses its goal by half, so run it on an idle machine.
ROWS ?= 20000000
bench: ## time each question with and without privacy, and check the goals; ROWS=2000000 for a short run
	INTRAMUROS_BENCH=1 INTRAMUROS_BENCH_ROWS=$(strip $(ROWS)) $(GO) test -p 1 -count=1 -v -timeout 60m -run '^TestBench' ./node/engine/duckdb ./node/engine/postgres ./coordinator ./integration

# Packages run one at a time, so that they do not slow each other down.
bench-parts: ## Go's benchmarks of single functions
	$(GO) test -p 1 -count=1 -v -run '^$$' -bench . -benchmem -timeout 60m $(PACKAGES)

# Other engines, in a virtual environment with pinned versions, get the same rows, question and epsilon.
PEERS := .cache/peers
bench-peers: ## time SmartNoise and OpenDP on a question of the benchmark; ROWS=2000000 for a short run
	integration/peers/install.sh $(abspath $(PEERS))
	$(PEERS)/bin/python integration/peers/peers.py $(strip $(ROWS))

bench-trino: $(TRINO)/.done ## time the benchmark's questions on Trino; needs Java 17 (JDK) and Maven
	INTRAMUROS_TRINO=$(abspath $(TRINO)) $(GO) test -count=1 -v -run '^$$' -bench . -benchtime 5x -timeout 60m ./node/engine/trino

fuzz: ## run each fuzz target for FUZZTIME, with one worker; as many targets at once as there are processors
	@.ci/fuzz '$(strip $(FUZZTIME))' '$(strip $(FUZZ))'

vulncheck: $(VULN) ## find known vulnerabilities in the linked modules; needs the network, so CI does not run it
	$(VULN) ./...

package: build ## packages of both roles in dist, for Debian and its derivatives, or archives; VERSION=1.2.3
	packaging/build $(VERSION)

check-package: package ## check both packages: contents, units, an isolated install and upgrade (as root), and the installed daemons
	packaging/check $(VERSION)

clean: ## remove what was built here
	rm -rf dist .cache

# The files go into a temporary folder, which is renamed when it is complete. There are three attempts.
$(TRINO_POSTGRES)/.done: profile := -P postgresql
$(TRINO)/.done $(TRINO_POSTGRES)/.done: .cache/%/.done: node/engine/trino/trinotest/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo 'install Java 17 and Maven: apt-get install -y --no-install-recommends openjdk-17-jdk-headless maven'; exit 1; }
	rm -rf $(@D) $(@D).part
	for attempt in 1 2 3; do \
		! mvn -q -B $(profile) -f $< dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(abspath $(@D)).part || break; \
		((attempt < 3)) && sleep $$((attempt * 10)); \
	done
	touch $(@D).part/.done
	mv $(@D).part $(@D)

# The linter is built as its own module, so that its dependencies do not affect ours.
$(LINT):
	@mkdir -p $(@D)
	GOBIN=$(abspath $(@D)) GOFLAGS= $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

$(VULN):
	@mkdir -p $(@D)
	GOBIN=$(abspath $(@D)) GOFLAGS= $(GO) install golang.org/x/vuln/cmd/govulncheck@$(VULN_VERSION)
