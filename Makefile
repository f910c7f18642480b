# Builds, deploys, runs and tests fanfold. `make` alone prints the goals.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
.NOTPARALLEL:

# `make -f path/to/Makefile` from another folder does all in the project's folder, with the caller's paths made absolute.
project := $(dir $(lastword $(MAKEFILE_LIST)))
ifneq ($(project),./)
absolute  = $(if $(filter /%,$(firstword $(1))),$(1),$(CURDIR)/$(1))
paths    := $(foreach name,BOOTSTRAP FILE OUTPUT PIPELINES REPORT_TEMPLATE SCHEMA TF_MIRROR,$(if $($(name)),$(name))) $(if $(filter %.json,$(PROCESSORS)),PROCESSORS)
$(foreach name,$(paths),$(eval override $(name) := $$(call absolute,$$($(name)))))
export $(paths)
.PHONY: elsewhere $(MAKECMDGOALS)
$(or $(MAKECMDGOALS),help): elsewhere ; @:
elsewhere: ; @$(MAKE) --directory='$(project)' $(MAKECMDGOALS) $(foreach name,$(paths),"$(name)=$$$(name)")
else

# Each can be given on the command line, as in: make demo FILE=my.csv KEY_FIELD=id
ENV       ?= local
VARIANT   ?= chunked
FILE      ?= examples/orders.csv
MINUTES   ?= 60
COUNTS    ?= 10 100 1000 10000
REPEAT    ?= 3
SEED      ?= 1
SECONDS   ?= 60
BYTES     ?= 1GiB
FORMATS   ?= csv json jsonl
ALL_VARIANTS := $(shell sed -n 's/^  "\([a-z]*\)": .*/\1/p' infra/variants.json)
TARGETS   ?= $(patsubst fuzz/fuzz_targets/%.rs,%,$(wildcard fuzz/fuzz_targets/*.rs))
PYTHON    ?= python3
TERRAFORM ?= terraform
# A pipeline is named like its variant, unless the file PIPELINES names it.
PIPELINE  ?= $(if $(PIPELINES),,$(VARIANT))

ifeq ($(filter local localstack aws,$(ENV)),)
$(error ENV is "$(ENV)"; it can be local (MiniStack, no Docker), localstack (LocalStack in Docker) or aws)
endif

# The user's name, as far as a bucket's name can contain it.
ifeq ($(SCOPE),)
override SCOPE := $(shell id -un 2>/dev/null | tr A-Z a-z | sed 's/[^a-z0-9]/-/g; s/^-*//' | cut -c1-20 | sed 's/-*$$//')
override SCOPE := $(or $(SCOPE),fanfold)-
endif

# Outside target/, because `make clean` must not lose track of what runs in an account.
AWS_STATE := infra/.state/aws/$(SCOPE)terraform.tfstate

HOST      := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
HOST_ARCH := $(if $(filter aarch64-%,$(HOST)),arm64,x86_64)
ifeq ($(ARCH),)
# On AWS that of the last deployment, unless it is given as empty.
aws_arch  = $(if $(filter undefined environment,$(origin ARCH)),$(firstword $(shell sed -n 's/^ *"architecture": "\(.*\)".*/\1/p' '$(AWS_STATE)' 2>/dev/null)))
override ARCH := $(if $(filter aws,$(ENV)),$(or $(aws_arch),x86_64),$(HOST_ARCH))
endif
ifeq ($(filter x86_64 arm64,$(ARCH)),)
$(error ARCH is "$(ARCH)"; Lambda has x86_64 and arm64)
endif

# One profile, one target directory and the features of tests for everything, so that nothing is compiled twice. The features add the
# suites of stores, and servers that fail; nothing of them is linked, since nothing calls it.
CARGO_FLAGS := --locked --release --target $(HOST) --target-dir target
FEATURES    := fanfold/testing,fanfold-http/testing
BIN         := target/$(HOST)/release
WORK        := target/$(ENV)
PACKAGE     := $(WORK)/bootstrap.zip
PRESS       := $(WORK)/press.zip

given_port  := $(PORT)

ifeq ($(ENV),aws)
STATE := $(AWS_STATE)
else
# The port of the emulator that is already running, if there is one.
ifeq ($(PORT),)
override PORT := $(or $(shell sed -n 's/.*"port": \([0-9]*\).*/\1/p' $(WORK)/emulator.json 2>/dev/null),4566)
endif
export AWS_ENDPOINT_URL := $(or $(ENDPOINT),http://127.0.0.1:$(PORT))
# An emulator takes any credentials. None of the user's own settings may reach it.
export AWS_ACCESS_KEY_ID := test
export AWS_SECRET_ACCESS_KEY := test
export AWS_REGION := us-east-1
export AWS_CONFIG_FILE := /dev/null
export AWS_SHARED_CREDENTIALS_FILE := /dev/null
export NO_PROXY := 127.0.0.1,localhost,$(NO_PROXY)
export no_proxy := $(NO_PROXY)
unexport AWS_PROFILE AWS_DEFAULT_PROFILE AWS_DEFAULT_REGION AWS_SESSION_TOKEN
STATE := $(WORK)/$(subst /,,$(subst :,-,$(patsubst http://%,%,$(AWS_ENDPOINT_URL))))/$(SCOPE)terraform.tfstate
endif

# What is measured: the commit, marked dirty only if the code has changed, not its measurements; and the emulator.
COMMITISH = $(shell git describe --always 2>/dev/null || echo unknown)$(if $(shell git status --porcelain -- src crates tests infra benchmark Cargo.toml Cargo.lock 2>/dev/null),-dirty)
TARGET_local      = MiniStack $(shell sed -n 's/^ministack==//p' scripts/requirements/ministack.in)
TARGET_localstack = LocalStack $(shell sed -n 's/.*localstack:\([0-9.]*\)$$/\1/p' docker-compose.yml)
# One that somebody else started says itself which it is.
told_version      = $(shell curl --silent --max-time 5 $(ENDPOINT)/_localstack/health | sed -n 's/.*"version": *"\([0-9.]*\)".*/\1/p')
TARGET_there      = $(if $(told_version),LocalStack $(told_version),$(ENDPOINT))
TARGET            = $(if $(ENDPOINT),$(TARGET_there),$(TARGET_$(ENV)))

comma := ,
empty :=
space := $(empty) $(empty)
list   = $(subst $(space),$(comma),$(strip $(1)))

# What a deployment adds: nothing to what is deployed, unless a pipeline is given, or used right after.
given      = $(filter command environment,$(origin PIPELINE) $(origin VARIANT))
added      = $(if $(given),$(PIPELINE))
demo flamegraph: added = $(PIPELINE)

need       := scripts/need
# Builds run the code of every dependency, which gets no credentials.
cargo      := scripts/without_credentials cargo
pipeline   := $(if $(PIPELINE),--pipeline '$(PIPELINE)')
emulator    = $(PYTHON) scripts/emulator.py
deployment  = $(PYTHON) scripts/deployment.py $(1) --work $(WORK) --state '$(STATE)' \
              --output $(WORK)/deployment.json $(if $(filter-out aws,$(ENV)),--emulator) --package $(PACKAGE) --press $(PRESS)

# A deployment keeps its settings; one that is given as empty, as in `make deploy RESULTS=`, goes back to its default.
settings := ALARM_EMAIL API API_JWT ARCH CHUNK_SIZE FAIR_BY FORMAT GIVE_UP_AFTER INPUT_PREFIX INPUT_SUFFIX ITEM_ATTRIBUTES KEY_FIELD KMS_KEY_ARN LIMITS OUTPUT_EXPIRY_DAYS PROCESSORS PROTECT_DATA RECORDS_API RECORDS_BY RECORDS_CONCURRENCY REPORTS RESULTS SCATTER_CONCURRENCY SCHEMA STALL_AFTER TOLERATE UPLOADER_ARNS WEBHOOKS WRITE_MODE
emptied   = $(if $(filter command,$(origin $(1))),$(if $(strip $($(1))),,$(1)))
export RESET := $(strip $(foreach name,$(settings) $(filter TF_VAR_%,$(.VARIABLES)),$(call emptied,$(name))))

export $(settings)
export BOOTSTRAP CONFIRM FILE OUTPUT PAGE PIPELINE PIPELINES PORT PYTHON REPORT_TEMPLATE SCOPE STATE_BUCKET STATE_REGION TERRAFORM TF_MIRROR VARIANTS
export FANFOLD_DEPLOYMENT := $(CURDIR)/$(WORK)/deployment.json
export PYTHONDONTWRITEBYTECODE := 1

# The versions to install, and what the fuzzer's sanitizers need of a stable compiler.
CARGO_FUZZ := 0.13.2
TARPAULIN  := 0.37.5
INFERNO    := 0.12.8
fuzzer     := RUSTC_BOOTSTRAP=1 scripts/without_credentials target/tools/bin/cargo-fuzz

.PHONY: help build package start stop deploy destroy upload demo demo-reports demo-billing billing-load compare benchmark latency memory cold throttled flamegraph report model screenshots check test test-endpoint soak coverage aws-check fuzz fmt lint audit lock logs clean
.PHONY: browser input deployed press

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@printf '%s\n' '' \
	  'Settings, as in: make demo FILE=my.csv KEY_FIELD=id SCHEMA=my.schema.json OUTPUT=out' \
	  'A deployment keeps its settings until others are given; an empty one, as in KEY_FIELD=, goes back to its default.' \
	  '  ENV         local: MiniStack on this machine; localstack: LocalStack in Docker; aws: your account' \
	  '  FILE        what to submit ($(FILE))' \
	  '  OUTPUT      directory to download the outputs to' \
	  '  PAGE        yes: demo ends by serving the page of its batch at port 8700, until Ctrl-C; a number: at that port' \
	  '  KEY_FIELD   field that is the key of a record' \
	  '  SCHEMA      JSON Schema of a record, a file' \
	  '  CHUNK_SIZE  most records in a chunk' \
	  '  FORMAT      how files are read, as in {"delimiter":";","encoding":"windows-1252"}' \
	  '  LIMITS      what one batch may make at most, as in {"records":1000000,"writtenBytes":10000000000,"dollars":10}' \
	  '  INPUT_PREFIX, INPUT_SUFFIX   what the keys of uploads begin and end with, as in incoming/ and .csv; S3 announces no other' \
	  '  WRITE_MODE  how items are written: batch or ordered' \
	  '  RESULTS     outcomes that are written out: all, failed, or none but the summary' \
	  '  PROCESSORS  what is done with records, JSON or a .json file, as in ["items",{"aggregate":{"group_by":["client"]}}]' \
	  '  BOOTSTRAP   executable with a processor of your own, which PROCESSORS calls custom: packaged instead of fanfold'"'"'s' \
	  '  FAIR_BY     whose messages take turns: each batch, or each prefix, the first folder of keys' \
	  '  TOLERATE    failed records after which a batch is stopped, as in 1000 or 5%; any number by default' \
	  '  OUTPUT_EXPIRY_DAYS   days after which outputs are deleted, at least 30; kept by default' \
	  '  SCATTER_CONCURRENCY   most files that are divided into chunks at the same time' \
	  '  STALL_AFTER seconds until a batch without progress is helped on; GIVE_UP_AFTER until it is given up' \
	  '  ALARM_EMAIL address that is told of alarms; KMS_KEY_ARN: a key of yours encrypts all that is stored' \
	  '  UPLOADER_ARNS   roles and users that alone may upload, with commas between them; by default whoever IAM lets' \
	  '  API         true: an HTTP API with the page for all pipelines, for callers whom IAM lets in' \
	  '  RECORDS_API IAM or KEY: an API of each pipeline for records one at a time, for callers that sign or have an API key' \
	  '  RECORDS_BY  what takes such records: queue, table (their status is there at once) or function (checks them whole)' \
	  '  RECORDS_CONCURRENCY   most functions at the same time that store such records' \
	  '  REPORTS     true: the pipeline makes reports; REPORT_TEMPLATE: a file report.typ of your own that they are printed by' \
	  '  WEBHOOKS    who may be told of ends of reports, as in {"urls":["https://example.com/hooks/"],"secrets":["arn:aws:ssm:…"]}' \
	  '  API_JWT     or for those with a token, as in {"issuer":"https://…","audience":["…"]}' \
	  '  CONFIRM     yes: deploy and destroy also delete tables and buckets that hold anything' \
	  '  ADVISORIES  yes: audit fails if the known vulnerabilities of dependencies cannot be fetched' \
	  '  UPGRADE     yes: lock takes the newest versions that fit, instead of keeping those that do' \
	  '  COUNTS      records to measure with ($(COUNTS)), REPEAT times ($(REPEAT)), made from SEED ($(SEED))' \
	  '  SEEDS       how many soak tries of each KIND (plain, swarm, many), from FIRST_SEED on' \
	  '  BYTES       size of the file that memory is measured with ($(BYTES)), in FORMATS ($(FORMATS)); BOOTSTRAPS: executables that cold compares' \
	  '  SHARES      what throttled does to requests, as in {"refused":0.2,"unprocessed":0.3,"delayed":0.1,"seconds":3}' \
	  '  VARIANT     variant to use ($(VARIANT)), as a pipeline of that name; VARIANTS="a b" deploys exactly these' \
	  '  PIPELINES   a JSON file of pipelines by name, each with its variant and settings: deploys exactly these; PIPELINE: the one to use' \
	  '  SCOPE       what every name begins with ($(SCOPE))' \
	  '  STATE_BUCKET   a bucket for the state of Terraform, which is otherwise a file here; STATE_REGION: where that is' \
	  '  TARGETS     what to fuzz, of: $(TARGETS)' \
	  '  PORT        of the local AWS (4566); ENDPOINT=http://host:port uses one that already runs' \
	  '  ARCH        x86_64 or arm64, of the functions' \
	  '  TF_MIRROR   directory that holds Terraform providers'

build: ## compile the functions and the command
	@$(need) cargo
	$(cargo) build $(CARGO_FLAGS) --workspace --bin bootstrap --bin fanfold --features $(FEATURES)

package: ## zip the functions
ifneq ($(BOOTSTRAP),)
package:
	@$(need) python
	@$(PYTHON) scripts/package.py --zip $(PACKAGE) --arch $(ARCH) --own "$$BOOTSTRAP" $(if $(filter local,$(ENV)),,--for-lambda)
else ifeq ($(ENV),local)
package: build
	@$(need) python
	@$(PYTHON) scripts/package.py --zip $(PACKAGE) --binary $(BIN)/bootstrap
else
	@$(need) cargo python
	@$(PYTHON) scripts/package.py --zip $(PACKAGE) --arch $(ARCH) --host '$(HOST)'
endif

package: press

# typst takes minutes to compile, so that what prints is built only if a pipeline makes reports: by what is given, or by what stays.
press:
	@$(need) python
	@reports=$$(PIPELINE='$(added)' $(call deployment,reports)); \
	if [ -n "$$reports" ]; then \
	  $(need) cargo; \
	  $(if $(filter local,$(ENV)),$(cargo) build $(CARGO_FLAGS) --manifest-path crates/report/Cargo.toml;) \
	  $(PYTHON) scripts/package.py --press $(PRESS) $(if $(filter local,$(ENV)),--binary $(BIN)/fanfold-report,--arch $(ARCH) --host '$(HOST)') \
	    $(if $(REPORT_TEMPLATE),--template "$$REPORT_TEMPLATE"); \
	elif [ -n "$${REPORT_TEMPLATE-}" ]; then \
	  echo "fanfold: REPORT_TEMPLATE=$$REPORT_TEMPLATE is given, and no pipeline makes reports: say REPORTS=true, or name one that does" >&2; exit 1; \
	fi

start: ## start the local AWS
ifeq ($(ENV),aws)
	@echo 'ENV=aws has nothing to start'
else ifneq ($(ENDPOINT),)
	@echo 'using the emulator at $(ENDPOINT)'
else ifeq ($(ENV),localstack)
	@$(need) docker
	docker compose up --detach --wait
else
	@$(need) python
	@$(emulator) start --state $(WORK) --port $(PORT)
endif

stop: ## stop the local AWS and delete its data
ifeq ($(ENV),aws)
	@echo 'ENV=aws has nothing to stop; `make destroy ENV=aws` removes what is deployed'
else ifeq ($(ENV),localstack)
	@$(need) docker
	docker compose down --volumes
else
	@$(need) python
	@$(emulator) stop --state $(WORK)
endif

# `build` for the command, which checks the settings on this machine, wherever the functions run.
deploy: package build ## create or update the pipeline
	@$(need) terraform python
	@PIPELINE='$(added)' $(call deployment,apply) --command $(BIN)/fanfold

destroy: ## remove the pipeline
	@$(need) terraform python
	@$(call deployment,destroy)

upload: input deployed build ## submit FILE and return at once
	@$(BIN)/fanfold submit "$$FILE" $(pipeline)

demo: input build start deploy ## everything: build, start, deploy, submit FILE, print the summary
	@$(if $(PAGE),scripts/demo $(BIN)/fanfold $(pipeline),$(BIN)/fanfold submit "$$FILE" $(pipeline) --wait $(if $(OUTPUT),--output "$$OUTPUT"))

# A deployment of its own, on ENV=local in an emulator of its own, so that all that is deployed stays.
DEMO_REPORTS := target/$(ENV)-reports
reports_of    = PIPELINE= WORK='$(DEMO_REPORTS)' SCOPE='$(SCOPE)reports-' PIPELINES=examples/reports/pipelines.json API=true \
  $(if $(filter local,$(ENV)),PORT=$(or $(given_port),$(shell sed -n 's/.*"port": \([0-9]*\).*/\1/p' $(DEMO_REPORTS)/emulator.json 2>/dev/null),4567))
demo-reports: ## deploy pipelines for reports, count the usage of examples/reports, ask for a report, save it in OUTPUT
	@$(MAKE) start deploy $(reports_of)
	@FANFOLD_DEPLOYMENT='$(DEMO_REPORTS)/deployment.json' \
	  $(PYTHON) scripts/demo_reports.py --command $(BIN)/fanfold --output '$(or $(OUTPUT),$(DEMO_REPORTS)/report)'
	@echo "it stays: remove it by make $(if $(filter local,$(ENV)),stop WORK=$(DEMO_REPORTS),destroy ENV=$(ENV) WORK=$(DEMO_REPORTS) SCOPE=$(SCOPE)reports-)"

# Likewise; what it sends to runs on this machine.
DEMO_BILLING := target/$(ENV)-billing
billing_of    = PIPELINE= WORK='$(DEMO_BILLING)' SCOPE='$(SCOPE)billing-' PIPELINES=examples/billing/pipelines.json \
  PORT=$(or $(given_port),$(shell sed -n 's/.*"port": \([0-9]*\).*/\1/p' $(DEMO_BILLING)/emulator.json 2>/dev/null),4568)
demo-billing: ## bill a month of example usage, late events and all, to an API that often fails, and print the reconciliation
	@if [ '$(ENV)' != local ]; then echo 'fanfold: the API of examples/invoice-api is on this machine, which only ENV=local reaches' >&2; exit 1; fi
	@$(MAKE) start deploy $(billing_of)
	@FANFOLD_DEPLOYMENT='$(DEMO_BILLING)/deployment.json' \
	  $(PYTHON) scripts/demo_billing.py --command $(BIN)/fanfold --work '$(DEMO_BILLING)'
	@echo "it stays: remove it by make stop WORK=$(DEMO_BILLING)"

# Few functions at a time, with little time each, so that a killed one's messages come back soon; small chunks, which wait together.
LOAD_BILLING    := target/$(ENV)-billing-load
billing_load_of  = PIPELINE= WORK='$(LOAD_BILLING)' SCOPE='$(SCOPE)load-' PIPELINES=examples/billing/pipelines.json PORT=4569 \
  TF_VAR_concurrency=4 TF_VAR_timeout='{"process":20}'
billing-load: ## bill EVENTS (1000000) of CLIENTS (10000) while workers are killed, and compare packages with a plain fold
	@if [ '$(ENV)' != local ]; then echo 'fanfold: only the functions of ENV=local can be killed from here' >&2; exit 1; fi
	@$(MAKE) start deploy $(billing_load_of)
	@"$$($(emulator) python)" scripts/billing_load.py --command $(BIN)/fanfold --deployment '$(LOAD_BILLING)/deployment.json' \
	  --work '$(LOAD_BILLING)/load' --events '$(or $(EVENTS),1000000)' --clients '$(or $(CLIENTS),10000)' --seed '$(SEED)'; \
	status=$$?; $(MAKE) stop WORK='$(LOAD_BILLING)'; exit $$status

# Eight functions at a time: more start on two processors than these can serve. What a killed one had comes back after six times its time limit.
COMPARE    := target/$(ENV)-compare
compare_of  = PIPELINE= WORK='$(COMPARE)' SCOPE='$(SCOPE)compare-' PIPELINES=benchmark/compare/pipelines.json PORT=4570 TF_VAR_concurrency=8 TF_VAR_timeout='{"process":5}'
compare: ## have Spark, Lithops, a Distributed Map, loops and pipelines work through the same files of RECORDS (20000), write docs/COMPARISON.md
	@if [ '$(ENV)' != local ]; then echo 'fanfold: the functions of ENV=local alone can be killed from here' >&2; exit 1; fi
	@command -v java >/dev/null || { echo 'fanfold: Spark needs Java 17 or newer; install it (Debian, Ubuntu: openjdk-17-jre-headless)' >&2; exit 1; }
	@$(MAKE) stop start deploy $(compare_of)
	$(cargo) build $(CARGO_FLAGS) --workspace --bin benchmark --features $(FEATURES)
	@compare=$$($(PYTHON) scripts/toolbox.py compare target/compare-peers) && spark=$$($(PYTHON) scripts/toolbox.py spark target/compare-spark) && \
	  "$$compare" benchmark/compare/compare.py --command $(BIN)/fanfold --benchmark $(BIN)/benchmark --deployment '$(COMPARE)/deployment.json' \
	  --spark "$$spark" --work '$(COMPARE)' --records '$(or $(RECORDS),20000)' --repeat '$(REPEAT)' --seed '$(SEED)' \
	  --target '$(TARGET)' --commit '$(COMMITISH)' --docs docs; \
	status=$$?; $(MAKE) stop $(compare_of); exit $$status

# Other deployed pipelines stay.
benchmark: export KEEP_VARIANTS := yes
benchmark: VARIANTS := $(or $(VARIANTS),$(ALL_VARIANTS))
benchmark: $(if $(filter aws,$(ENV)),deployed,start deploy) ## measure VARIANTS with COUNTS records, REPEAT times, and the floor for comparison
	$(cargo) build $(CARGO_FLAGS) --workspace --bin benchmark --features $(FEATURES)
	@$(BIN)/benchmark run --floor --variants '$(call list,$(VARIANTS))' --counts '$(call list,$(COUNTS))' \
	  --repeat '$(REPEAT)' --seed '$(SEED)' --env '$(ENV)' --scope '$(SCOPE)' --target '$(TARGET)' --commitish '$(COMMITISH)'

latency: export KEEP_VARIANTS := yes
latency: VARIANTS := $(or $(VARIANTS),$(VARIANT))
latency: $(if $(filter aws,$(ENV)),deployed,start deploy) ## measure what a batch of 10 records waits for in VARIANTS
	$(cargo) build $(CARGO_FLAGS) --workspace --bin benchmark --features $(FEATURES)
	@$(BIN)/benchmark latency --variants '$(call list,$(VARIANTS))' --seed '$(SEED)'

memory: ## measure the memory of each stage of VARIANTS on a file of BYTES in FORMATS, without AWS; fail if it is too much
	@$(need) cargo
	$(cargo) build $(CARGO_FLAGS) --workspace --bin benchmark --features $(FEATURES)
	@$(BIN)/benchmark memory --variants '$(call list,$(or $(VARIANTS),chunked))' --formats '$(call list,$(FORMATS))' \
	  --bytes '$(BYTES)' --seed '$(SEED)' $(if $(CHUNK_SIZE),--chunk-size '$(CHUNK_SIZE)') --work-dir target/memory

cold: build ## measure the size and the start time of the functions, from BOOTSTRAPS or from this build
	$(cargo) build $(CARGO_FLAGS) --workspace --bin benchmark --features $(FEATURES)
	@$(BIN)/benchmark cold --variant '$(VARIANT)' $(foreach path,$(or $(BOOTSTRAPS),$(BIN)/bootstrap),--bootstrap '$(path)')

throttled: export COMMAND := $(BIN)/fanfold
throttled: export PACKAGE := $(PACKAGE)
throttled: export RECORDS := $(or $(RECORDS),100000)
throttled: export VARIANTS := $(or $(VARIANTS),ranged chunked)
throttled: package build ## submit RECORDS (100000) to VARIANTS on a local AWS of its own that throttles the functions; fail if a record does
	@if [ '$(ENV)' != local ]; then echo 'fanfold: only ENV=local can be throttled' >&2; exit 1; fi
	@$(need) terraform python
	@SHARES='$(SHARES)' scripts/without_credentials scripts/throttled

# On an account with the sizes that its budget is for; elsewhere with small ones, which show only that it runs.
aws-check: RECORDS := $(or $(RECORDS),$(if $(filter aws,$(ENV)),200000,2000))
aws-check: BYTES := $(if $(filter file,$(origin BYTES)),$(if $(filter aws,$(ENV)),1GiB,24MiB),$(BYTES))
aws-check: $(if $(filter aws,$(ENV)),,start) package build ## with ENV=aws, check on an account what no emulator shows, for less than a dollar; asks first
	@$(need) terraform python
	@"$$($(emulator) python)" scripts/aws_check.py --command $(BIN)/fanfold --package $(PACKAGE) --states $(dir $(STATE)) \
	  --goal 'ENV=$(ENV)' --target '$(if $(filter aws,$(ENV)),AWS,$(TARGET))' --commit '$(COMMITISH)' \
	  --records '$(RECORDS)' --bytes '$(BYTES)' $(if $(filter aws,$(ENV)),,--emulator)

flamegraph: start deploy ## sample process of VARIANT with perf while it works, draw docs/process.svg
	@$(need) cargo
	@command -v perf >/dev/null || { echo "fanfold: perf is missing; install it (Debian, Ubuntu: linux-perf)" >&2; exit 1; }
	$(cargo) build $(CARGO_FLAGS) --workspace --bin benchmark --features $(FEATURES)
	@[ -x target/tools/bin/inferno-flamegraph ] || $(cargo) install inferno --locked --version $(INFERNO) \
	  --no-default-features --features cli --root target/tools --target-dir target/tools/build
	@benchmark/flamegraph '$(VARIANT)' '$(SCOPE)' $(BIN)/benchmark target/tools/bin

report: ## draw docs/report.svg and .png and write docs/report.md from measurements.csv
	@$(need) cargo
	$(cargo) build $(CARGO_FLAGS) --workspace --bin benchmark --features $(FEATURES)
	@$(BIN)/benchmark report

model: ## hold the model of AWS against the published runs: docs/MODEL.md and docs/model.svg
	@$(need) cargo
	$(cargo) build $(CARGO_FLAGS) --workspace --bin benchmark --features $(FEATURES)
	@$(BIN)/benchmark model

screenshots: export COMMAND := $(BIN)/fanfold
screenshots: export PACKAGE := $(PACKAGE)
screenshots: export RECORDS := $(or $(RECORDS),300000)
screenshots: browser package build ## draw docs/page-*.png and docs/status.svg from a batch of RECORDS (300000) on a local AWS of its own
	@if [ '$(ENV)' != local ]; then echo 'fanfold: only ENV=local can be drawn' >&2; exit 1; fi
	@$(need) terraform python
	@scripts/without_credentials scripts/screenshots

logs: deployed ## print what the functions logged in the last MINUTES (60)
	@"$$($(emulator) python)" scripts/logs.py $(WORK)/deployment.json --minutes '$(MINUTES)'

# Only the engine, so that nothing waits for the SDK; not optimised, since that takes longer than it saves; and
# without the mutants of the simulation, which `make test` runs.
check: ## check a change of the engine before its commit: format, clippy, its tests on few cases, a short simulation
	@$(need) cargo fmt clippy
	cargo fmt --all --check
	$(cargo) clippy $(CARGO_FLAGS) --package fanfold --all-targets -- -D warnings
	PROPTEST_CASES=32 FANFOLD_SEEDS=$(or $(SEEDS),100) $(cargo) test $(CARGO_FLAGS) --config profile.release.package.fanfold.opt-level=0 \
	  --package fanfold -- --skip wrong_orders

test: ## everything that CI checks, end to end on a local AWS of its own
	@$(need) cargo fmt clippy terraform python
	@HOST='$(HOST)' ARCH='$(HOST_ARCH)' FEATURES='$(FEATURES)' scripts/without_credentials scripts/test

# With a scope of its own, and packages for this machine, as whose processes the functions run there.
ENDPOINT_WORK := target/endpoint
test-endpoint: ## run the end-to-end tests on the emulator at ENDPOINT, a LocalStack that runs functions as processes of this machine
	@if [ -z '$(ENDPOINT)' ]; then echo 'fanfold: say where the emulator is, as in ENDPOINT=http://127.0.0.1:4577' >&2; exit 1; fi
	@$(need) cargo terraform python
	@$(MAKE) build
	$(cargo) build $(CARGO_FLAGS) --manifest-path crates/report/Cargo.toml
	@$(PYTHON) scripts/package.py --zip $(ENDPOINT_WORK)/bootstrap.zip --binary $(BIN)/bootstrap
	@$(PYTHON) scripts/package.py --press $(ENDPOINT_WORK)/press.zip --binary $(BIN)/fanfold-report
	@tools=$$($(emulator) python) && HOST='$(HOST)' ARCH='$(HOST_ARCH)' FEATURES='$(FEATURES)' scripts/without_credentials "$$tools" scripts/elsewhere.py '$(ENDPOINT)' --work $(ENDPOINT_WORK) \
	  --package $(ENDPOINT_WORK)/bootstrap.zip --press $(ENDPOINT_WORK)/press.zip --command $(BIN)/fanfold $(if $(ONLY),--only '$(ONLY)')

fuzz: ## try the decoders on generated files, for SECONDS (60) for each of TARGETS
	@$(need) cargo
	@if [ "$$($(fuzzer) --version 2>/dev/null)" != 'cargo-fuzz $(CARGO_FUZZ)' ]; then \
	  $(cargo) install cargo-fuzz --locked --version $(CARGO_FUZZ) --root target/tools; \
	fi
	@$(cargo) metadata --locked --format-version 1 >/dev/null # cargo-fuzz itself cannot be told to keep to the lock file
	@for target in $(TARGETS); do \
	  mkdir -p "target/fuzz/corpus/$$target"; \
	  $(fuzzer) run --fuzz-dir fuzz --target $(HOST) --target-dir target/fuzz --features libfuzzer "$$target" \
	    "target/fuzz/corpus/$$target" "fuzz/corpus/$$target" -- \
	    -max_total_time=$(SECONDS) -print_final_stats=1; \
	done

soak: ## simulate SEEDS (1000000) more seeds of each kind than the tests do, from FIRST_SEED (10000) on, or only of KIND
	@$(need) cargo
	FANFOLD_SEEDS='$(or $(SEEDS),1000000)' FANFOLD_FIRST_SEED='$(or $(FIRST_SEED),10000)' $(if $(KIND),FANFOLD_KIND='$(KIND)') \
	  FANFOLD_COMMIT='$(COMMITISH)' $(cargo) test $(CARGO_FLAGS) --package fanfold --test simulation -- --nocapture every_batch

# It compiles with other flags, so in a folder of its own: that takes minutes the first time.
coverage: ## measure which lines of the stages and the ledger's rules the simulation alone reaches: at least 95 %
	@$(need) cargo
	@if [ ! -x target/tools/bin/cargo-tarpaulin ]; then \
	  $(cargo) install cargo-tarpaulin --locked --version $(TARPAULIN) --root target/tools --target-dir target/tools/build; fi
	FANFOLD_SEEDS=900 scripts/without_credentials target/tools/bin/cargo-tarpaulin tarpaulin --engine llvm --packages fanfold --test simulation --locked --skip-clean --timeout 900 \
	  --target-dir target/coverage --output-dir target/coverage --out Stdout --out Html --fail-under 95 --ignore-tests \
	  --include-files 'src/stage/*' --include-files 'src/batch/*' --include-files src/store/ledger/tree.rs --include-files src/store/ledger/memory.rs \
	  -- --skip wrong_orders

fmt: ## format Rust and Terraform
	@$(need) cargo fmt terraform
	cargo fmt --all
	cargo fmt --manifest-path crates/report/Cargo.toml
	$(TERRAFORM) fmt -recursive infra

lint: ## check the format, run clippy
	@$(need) cargo fmt clippy terraform
	cargo fmt --all --check
	cargo fmt --manifest-path crates/report/Cargo.toml --check
	$(TERRAFORM) fmt -check -recursive infra
	$(cargo) clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	$(cargo) clippy $(CARGO_FLAGS) --manifest-path crates/report/Cargo.toml --all-targets -- -D warnings

audit: ## check the infrastructure with checkov, and the licences, sources and known vulnerabilities of dependencies with cargo-deny
	@$(need) cargo python
	@$(PYTHON) scripts/audit.py infra crates $(if $(filter yes,$(ADVISORIES)),--advisories)

lock: ## pin what is installed: the programs from PyPI, and Terraform's provider
	@$(need) terraform python
	@$(PYTHON) scripts/lock.py $(if $(filter yes,$(UPGRADE)),--upgrade)

clean: $(if $(filter localstack,$(ENV)),stop) ## stop the local AWS and remove target/; deployments on AWS are not forgotten
	@for facts in target/*/emulator.json; do \
	  if [ -f "$$facts" ]; then $(emulator) stop --state "$$(dirname "$$facts")"; fi; \
	done
	rm -rf target

# Checks for the tools and files that the goal needs, before minutes are spent on a build.
no_file = echo "fanfold: $(1)=$$$(1) names no file$(if $(filter /%,$(firstword $($(1)))),, in $(CURDIR))" >&2; exit 1
input:
	@$(need) cargo terraform python
	@if [ ! -f "$$FILE" ]; then $(call no_file,FILE); fi
	@case "$${PAGE-}" in yes) ;; *[!0-9]*) echo "fanfold: PAGE=$$PAGE is neither yes nor a port" >&2; exit 1 ;; esac
	@if [ -n "$${SCHEMA-}" ] && [ ! -f "$$SCHEMA" ]; then $(call no_file,SCHEMA); fi

browser:
	@$(need) browser

deployed:
	@$(need) python
	@$(call deployment,output)

endif
