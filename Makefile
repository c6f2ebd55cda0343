# The commands of a person. Each installs what is missing on Debian or Ubuntu first, then says what it does.
# CARGO_TARGET_DIR is honoured; without it everything is built in target/.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test ci bench build clean

BENCH ?= ingest --quick

help: ## show this list
	@echo 'Tradewind: connection logs of the inside of a network, kept, queried, judged.'
	@echo
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile | while IFS='	' read -r name text; do printf '  make %-6s %s\n' "$$name" "$$text"; done

demo: build ## set up, build, and run the main job on a small made-up network
	@. scripts/env && "$$CARGO_TARGET_DIR/ci/tradewind" demo

test: ## set up, and run all tests
	@scripts/setup
	@scripts/test

ci: ## all that CI runs: formatting, lints, tidy, documentation, tests, licences
	@.ci/run

bench: build ## compare with Polars and DuckDB; BENCH="ingest" for the full size
	@. scripts/env && cargo build --workspace --bin tradewind-bench --profile ci --locked && \
	 "$$CARGO_TARGET_DIR/ci/tradewind-bench" $(BENCH)

# The whole workspace decides the features, so that tests, demo and benchmarks share what is compiled.
build: ## set up, and build the binary
	@scripts/setup
	@echo 'build: tradewind (the first build takes long)'
	@. scripts/env && cargo build --workspace --bin tradewind --profile ci --locked && \
	 echo "build: $$CARGO_TARGET_DIR/ci/tradewind"

clean: ## remove what was built
	@. scripts/env && cargo clean
