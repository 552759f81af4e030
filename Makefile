# A thin face over CMake: make, make check, make demo, make bench, make fuzz.
PRESET ?= release
FUZZ_SECONDS ?= 60

.PHONY: all build deps check demo bench fuzz install clean

all: build

deps:
	@tools/install-deps build

build: deps
	@cmake --preset $(PRESET) -Wno-dev >build-$(PRESET).log 2>&1 || { cat build-$(PRESET).log; exit 1; }; rm -f build-$(PRESET).log
	@cmake --build --preset $(PRESET) $(if $(filter fuzz,$(PRESET)),--target fuzzers)

check:
	@tools/install-deps build test
	@$(MAKE) --no-print-directory build
	@tools/check

demo:
	@tools/install-deps build test
	@$(MAKE) --no-print-directory build
	@tools/demo

bench: build
	@tools/bench

fuzz:
	@tools/install-deps build
	@$(MAKE) --no-print-directory build PRESET=fuzz
	@tools/fuzz $(FUZZ_SECONDS)

install: build
	cmake --install build/$(PRESET)

clean:
	rm -rf build
