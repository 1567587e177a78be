# Andon. `make demo` shows the main job once, `make test` checks everything, `make run` stays up.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt
# Where torch has to come from to be the build for processors only, for example
# TORCH="--index-url ADDRESS-OF-PYTORCH'S-CPU-INDEX"; the tests need it, the product does not.
TORCH ?=

.PHONY: help setup demo run test check format bench soak mutants bundle bundle-model llama-server docs constraints clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

$(VENV)/.debian: deploy/debian-packages.sh
	@bash deploy/debian-packages.sh "$(PYTHON)"
	[ -x $(BIN)/python ] || "$(PYTHON)" -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.debian pyproject.toml constraints.txt
	@echo "Setting up: Andon and what it needs (some minutes the first time)"
	$(PIP) --editable '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	@bash deploy/debian-packages.sh "$(PYTHON)" strace mkfs.ext4:e2fsprogs \
		debootstrap systemd-nspawn:systemd-container shellcheck
	echo "Setting up: what the tests need"
	$(PIP) $(TORCH) torch
	$(PIP) --editable '.[dev]'
	touch $@

setup: $(VENV)/.demo ## Everything Andon needs, into .venv

demo: $(VENV)/.demo ## The main job once: a fault becomes a cited answer
	@$(BIN)/python deploy/demo.py

run: $(VENV)/.demo ## Broker and services, until Ctrl-C
	@exec $(BIN)/andon up

# Most tests wait for processes: four at a time keep two cores at work. Files in the order of
# tests/conftest.py, not those with the most tests first: they are the shortest.
test: $(VENV)/.dev ## All tests
	@$(MAKE) --no-print-directory llama-server || echo "Without it the tests that need it are skipped." >&2
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.dev ## Lint and types
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev ## Put the code in order
	@$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Measure; writes build/bench.json
	@$(BIN)/python -m tests.bench

# One round (2,000 faults, 30 kills) takes about two minutes.
soak: $(VENV)/.dev ## Kill processes while faults pour in: SEEDS=n rounds, MINUTES=m long
	@$(BIN)/python -m tests.faults.soak $(if $(SEEDS),--seeds $(SEEDS)) $(if $(MINUTES),--minutes $(MINUTES))

mutants: $(VENV)/.dev ## Read damaged files: COUNT=n of them
	@$(BIN)/python -m tests.faults.mutants --count $(or $(COUNT),5000)

# Router mode and the reference for all others; kept in ~/.cache/andon between runs.
llama-server: $(VENV)/.debian ## The real llama-server, for the tests and `andon up --model`
	@bash deploy/llama-server.sh $(BIN)/python

# OCR=1 takes tesseract along, to read scans; LLAMA=1 the llama-server built here.
bundle: $(VENV)/.demo ## One file with all a box needs: build/andon-VERSION-ARCH.tar
	@llama=
	[ -z "$(LLAMA)" ] || llama=$$(bash deploy/llama-server.sh $(BIN)/python)
	$(BIN)/python -m deploy.bundle $(if $(OCR),--with-ocr) $${llama:+--with-llama "$$llama"}

docs: $(VENV)/.dev ## Write the documents that derive from the registry
	@$(BIN)/python -m schemas.asyncapi

bundle-model: $(VENV)/.dev ## Make deploy/models again from the original weights
	@$(BIN)/python deploy/models/export.py

constraints: $(VENV)/.dev ## Pin what is installed now
	@{ echo "# Versions that were tested together; written by \`make constraints\`."
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/\+cpu$$//' ; } > constraints.txt
	# Debian 12 has Python 3.11.2: some newest releases ask for a later one.

clean: ## Remove what commands made
	@rm -rf $(VENV) build dist *.egg-info
