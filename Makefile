# The commands a person needs; CMakePresets.json holds the builds themselves.
#   make run      everything: set-up, build, the main job on the embedded tickets, comparison, report (SERVE=1: then serve)
#   make test     set-up, build, all tests
.DEFAULT_GOAL := help
.PHONY: help run test build arm64 wasm bench fuzz format lint setup setup-test setup-bench setup-fuzz setup-lint configure edge

PRESET ?= release
JOBS ?= $(shell nproc)
BUILD := build/$(PRESET)
BIN := $(BUILD)/bin
RECIPE ?= recipes/helpdesk/recipe.toml
OUT ?= build/run
FUZZ_RUNS ?= 1000000
ARM64_TESTS ?= base kernels formats text model runtime
SOURCES = $(shell git ls-files '*.cc' '*.h')

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: configure ## Set-up, build, make the default model, compare, report; SERVE=1 goes on to serve on loopback
	cmake --build $(BUILD) -j $(JOBS) --target bantam bantam-train generate_tickets
	@mkdir -p $(OUT)
	$(BIN)/generate_tickets --out $(OUT)/tickets.csv
	$(BIN)/bantam make $(RECIPE) --data $(OUT)/tickets.csv --out $(OUT)
ifeq ($(SERVE),1)
	exec $(BIN)/bantam serve --config $(OUT)/serve.toml
endif

test: setup-test build ## Set-up, build, all tests
	ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

build: configure ## Set-up and build into build/release
	cmake --build $(BUILD) -j $(JOBS)

edge: setup ## The runtime alone, small, into build/small/bin; checks size, libraries, idle CPU; the figures go into README.md
	cmake --preset small && cmake --build build/small -j $(JOBS) --target bantam random_family
	tests/edge/edge.sh build/small/bin/bantam build/small/bin/random_family README.md

arm64: setup ## Cross-build for 64-bit ARM, run its tests under QEMU, compare its greedy tokens with the native engine's
	@packaging/setup.sh arm64
	@packaging/sysroot.sh arm64 build/sysroot/arm64
	cmake --preset release -DBANTAM_TRAIN=OFF -B build/native
	cmake --build build/native -j $(JOBS) --target greedy_tokens
	cmake --preset arm64
	cmake --build build/arm64 -j $(JOBS) --target bantam greedy_tokens $(foreach layer,$(ARM64_TESTS),$(layer)_test)
	tests/targets/arm64.sh build/native/bin build/arm64/bin build/sysroot/arm64 build/arm64/scratch

wasm: setup ## The engine as a WebAssembly module and a page (build/wasm/page) that runs a model in a browser; tests both in Node and Chromium
	@packaging/setup.sh wasm
	@wasm/sources.sh build/wasm-sources
	cmake -S wasm --toolchain ../cmake/wasm.cmake -B build/wasm -G Ninja -DCMAKE_BUILD_TYPE=Release
	cmake --build build/wasm -j $(JOBS) --target bantam kernels_test
	wasm/page.sh build/wasm/bantam.wasm build/wasm/page-source build/wasm/page
	cmake --preset release -DBANTAM_TRAIN=OFF -B build/native
	cmake --build build/native -j $(JOBS) --target greedy_tokens
	tests/targets/wasm.sh build/native/bin build/wasm build/wasm/page build/wasm/node build/wasm/scratch

bench: setup-bench build ## Build and run the measurements of bench/
	@for program in $(BIN)/*_bench; do echo "== $$program"; $$program || exit 1; done

fuzz: setup-fuzz ## FUZZ_RUNS (1,000,000) executions of each parser under ASan and UBSan
	cmake --preset fuzz && cmake --build build/fuzz -j $(JOBS) --target fuzzers
	fuzz/run.sh $(FUZZ_RUNS)

format: setup-lint ## Rewrite the C++ sources in the project's style
	clang-format -i $(SOURCES)

lint: setup setup-lint ## Style and clang-tidy; in a build without unity files, whose commands name each source
	clang-format --dry-run -Werror $(SOURCES)
	cmake --preset dev
	git ls-files 'src/*.cc' | grep -v '^src/train/' | xargs -P $(JOBS) -n 4 clang-tidy-19 -p build/dev --quiet

setup:
	@packaging/setup.sh build
setup-test: setup
	@packaging/setup.sh test
setup-bench: setup
	@packaging/setup.sh bench
setup-fuzz: setup
	@packaging/setup.sh fuzz
setup-lint: setup
	@packaging/setup.sh lint

# LibTorch may have arrived since the folder was first configured.
configure: setup
	cmake --preset $(PRESET) $(if $(filter release dev,$(PRESET)),-DBANTAM_TRAIN=ON)
