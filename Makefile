# Every verb makes what it needs; `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
FLINK  := $(VENV)/.flink
JOBS   ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-servers test-engines lint chaos conformance bench example generate jvm wheel

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Pointsman and its tools into $(VENV) (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,http,grpc,otel,avro,protobuf,json_schema,rocksdb,kafka_streams,flink]' --group dev
	@touch $@

$(FLINK): $(STAMP)
	@echo "Installing Flink into $(VENV) (230 MB)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[flink]'
	@touch $@

setup: $(STAMP) ## make .venv with everything installed

demo: $(STAMP) ## watch events go through a pipeline on a real broker
	@$(BIN)/pointsman demo

test: lint ## lint, type-check and run every test on real brokers (JOBS=3)
	@$(BIN)/python -m pytest -rs --numprocesses $(JOBS) --dist worksteal

test-servers: $(STAMP) ## the protocols against real model servers (fetched once, about 2 GB)
	@$(BIN)/python -m pytest -rs tests/servers/real_*.py

test-engines: $(FLINK) ## the hosts on real Kafka Streams and Flink (fetched once, about 500 MB)
	@$(BIN)/python -m pytest -rs tests/engines/real_*.py

lint: $(STAMP) ## ruff, mypy, the floors of the house
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

chaos: $(if $(filter flink,$(ON)),$(FLINK),$(STAMP)) ## kills, zombies, broken brokers, full disks (SCHEDULES=10 SEED=1 ON=native)
	@PYTHONPATH=tests $(BIN)/python -m chaos --schedules $(or $(SCHEDULES),10) --seed $(or $(SEED),1) $(if $(ON),--on $(ON)) $(if $(PAGE),--page $(PAGE))

conformance: $(STAMP) ## CEL conformance (CASES=FILE for other cases)
	@$(BIN)/python -m pointsman.cel.conformance $(CASES)

bench: $(FLINK) ## benchmarks against hand-written loops, as ratios
	@$(BIN)/python -m benchmarks $(ONLY)

example: $(if $(filter flink,$(ON)),$(FLINK),$(STAMP)) ## run an example end to end (NAME=payments, flights, telecom or serving; ON=flink, kafka-streams)
	@$(BIN)/python -m examples.$(or $(NAME),payments).run $(if $(ON),--on $(ON))

generate: $(STAMP) ## write the JSON Schemas, the reference page and the tables of tests anew
	@$(BIN)/python -m pointsman.spec.generate
	@PYTHONPATH=tests $(BIN)/python -m model.protocols
	@PYTHONPATH=tests $(BIN)/python -m model.fault_page
	@PYTHONPATH=tests $(BIN)/python -m parity.page

jvm: $(FLINK) ## compile the Java half of the engines' hosts into the package, byte for byte the same
	@$(BIN)/python jvm/build.py

wheel: $(STAMP) ## build the wheel into dist/
	@$(BIN)/python -m build --wheel
