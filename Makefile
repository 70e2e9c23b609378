# SPDX-License-Identifier: Apache-2.0
# A thin front over CMake presets. `make help` lists the targets.

.DEFAULT_GOAL := build
.PHONY: help build install run image grpcurl test bench bench-compare bench-store fuzz format clean

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

build: ## builds build/release/mote, installing what is missing
	@third_party/install build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
	@cmake --build --preset release --target mote
	@echo "Built build/release/mote. Next: make run"

install: build ## installs the program and the library under PREFIX (/usr/local); DESTDIR is honoured
	@cmake --build --preset release --target mote_library
	@cmake --install build/release --prefix $(or $(PREFIX),/usr/local)

run: build ## starts a server with a state folder of its own and shows that it answers
	@src/app/run.sh

image: ## builds the container image mote:<version>, with docker or BUILDER=podman; IMAGE_ARGS="…" for more of its options
	@$(or $(BUILDER),docker) build $(if $(filter-out docker,$(notdir $(or $(BUILDER),docker))),--format docker) $(IMAGE_ARGS) \
	    --build-arg REVISION=$$(git describe --always --dirty --abbrev=7 --exclude='*') --build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) \
	    --tag mote:$$(sed -n 's/^project(mote VERSION \([^ ]*\).*/\1/p' CMakeLists.txt) .

grpcurl: ## builds build/tools/grpcurl with Go, to try the lines that make run prints
	@mkdir -p build/tools
	@cd tests/tools && GOTOOLCHAIN=auto GOFLAGS="-mod=readonly -buildvcs=false" go build -o ../../build/tools/grpcurl github.com/fullstorydev/grpcurl/cmd/grpcurl
	@echo "Built build/tools/grpcurl."

test: ## builds with sanitizers and runs every test; TIER="unit lint" runs some
	@third_party/install build test
	@tests/run $(TIER)

bench: ## measures against the bare libraries; writes build/bench/report.md
	@third_party/install build bench
	@tests/bench/run

bench-compare: ## measures against another revision of itself: REVISION=HEAD~1
	@third_party/install build bench
	@tests/bench/compare $(or $(REVISION),HEAD~1)

bench-store: ## measures a store of 1,000,000 users against one of 10,000; writes build/bench-store/report.md
	@third_party/install build bench
	@tests/bench/store

fuzz: ## fuzzes each target for SECONDS (60) seconds; TARGET="h2_raw" for one
	@third_party/install build fuzz
	@fuzz/run

format: ## formats the C files
	@tests/lint/format

clean: ## removes build/ (state/ stays)
	@rm -rf build

$(shell mkdir -p build)
