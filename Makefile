# relay: everything a person (or the CI job, .ci/run) does with this checkout.
# Needs python3 >= 3.11 and make, nothing else; everything lands in .venv/.

PYTHON       ?= python3
ARGS         ?=
COVERAGE_MIN ?= 90
PROCESSES    ?= 3

# Two sizes in one environment: what the service needs (make run), and everything (all other targets).
VENV    := .venv
BIN     := $(VENV)/bin
PY      := $(BIN)/python
SERVICE := $(VENV)/.installed-service
STAMP   := $(VENV)/.installed

# Not empty where there is no interpreter that works: what is said to be installed there is not.
ANEW := $(if $(realpath $(PY)),,anew)

# The stamp of what runs the service. An environment that has everything keeps everything up to date: a newer starlette
# beside an older schemathesis might not fit.
NEEDED := $(if $(wildcard $(STAMP)),$(STAMP),$(SERVICE))

# pip: no advice about newer pips, no questions, and no packages from outside of the lock
# because of a constraint file that this person has for another project.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
unexport PIP_CONSTRAINT PYTHONHOME PYTHONPATH

# Hundreds of processes are started here, and each would compile all modules (a second of CPU for `relay serve`).
unexport PYTHONDONTWRITEBYTECODE

PYTEST = $(PY) -m pytest -n $(PROCESSES) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install run test coverage check format dist bench peers chaos siege lock changes release clean anew

help:  ## this list
	@echo "make <target>:"
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) \
	  | while IFS='|' read -r target text; do printf '  %-8s %s\n' "$$target" "$$text"; done

install: $(STAMP)  ## make .venv with everything that the lock file names
	@:

run: $(NEEDED)  ## run the service with a demo account, and say how to try it; ARGS="..." are passed on
	@$(BIN)/relay demo $(ARGS)

test: $(STAMP)  ## run all tests; some of them: make test PROCESSES=0 ARGS="tests/deploy -k lock"
	@$(PYTEST) $(ARGS)

coverage: $(STAMP)  ## run all tests, and say which lines they do not reach; fails below COVERAGE_MIN percent
	@$(PYTEST) --cov --cov-report=term-missing:skip-covered --cov-fail-under=$(COVERAGE_MIN) $(ARGS)

# Not tests/: their mail is in many languages, and misspelt on purpose.
PROSE = *.md *.toml Makefile .ci changes docs relay bench chaos siege clients scripts helm

check: $(STAMP)  ## lint (Python and Lua), formatting, types and spelling; changes nothing
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
	@$(PY) -m scripts.check_lua
	@$(PY) -m codespell_lib $(PROSE)

format: $(STAMP)  ## format, and mend what the linter can mend
	@$(PY) -m ruff check --fix-only
	@$(PY) -m ruff format

# Nothing here is downloaded: the build backend is in the environment. An older wheel beside the new one would be taken for it.
dist: $(NEEDED)  ## build what is installed elsewhere, into dist/: wheel and sdist of the service, and of the client and test kit
	@rm -rf dist
	@$(PY) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . ./clients/python
	@$(PY) -c 'from flit_core import buildapi; buildapi.build_sdist("dist")'
	@$(PY) -B -c 'import os, sys; os.chdir("clients/python"); sys.path.insert(0, "."); import backend; backend.build_sdist("../../dist")'
	@ls -1 dist/*

bench: $(STAMP)  ## measure; numbers are of this machine
	@$(PY) -m bench $(ARGS)

# Centrifugo (built by Go) and nchan (Debian's packages, unpacked): into .peers/, and nowhere else.
peers: $(STAMP)  ## get the services that bench compares with, into .peers/; what cannot be had is said
	@$(PY) -m bench.peers

chaos: $(STAMP)  ## live through bad days: kills, stalls, floods; some minutes, and a table of what was lost
	@$(PY) -m chaos $(ARGS)

siege: $(STAMP)  ## attack a service of its own, as strangers, senders and customers could; some minutes, and a table
	@$(PY) -m siege $(ARGS)

changes: $(STAMP)  ## show what CHANGELOG.md will say of the next version
	@$(PY) -m towncrier build --draft --version next --date 'not released'

release: $(STAMP)  ## make VERSION=0.2.0 of this commit: its section of CHANGELOG.md, a commit, a tag; pushes nothing
	@$(PY) -m scripts.release $(VERSION)

clean:  ## remove .venv and all caches
	@rm -rf $(VENV) .peers dist htmlcov .artifacts .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Every package at its current version, or PACKAGE alone (others move only where it needs that), for every Python >= 3.11
# and every platform ("universal": the differences are markers in the file). uv is installed here and not by `make
# install`, because few ever lock, and whoever does wants the current one for the same reason as the current packages;
# what it writes is text, read in review, and has the hashes. The first file bounds the second, the second the third, so
# that a package has one version in all of them.
# No header with the command and no index in the output: both may tell where the author of the lock works. The system's
# certificates, as pip does: in many networks no others are of use.
UPGRADE = $(if $(PACKAGE),--upgrade-package $(PACKAGE),--upgrade)
LOCK = $(PY) -m uv pip compile --quiet --system-certs $(UPGRADE) --universal --python-version 3.11 --generate-hashes --no-annotate \
       --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# Two more are for .ci/installs: the lowest versions that pyproject.toml allows, with what a few tests need, and the
# installers that people use beside pip.
FLOOR_TOOLS = flit-core|hypothesis|playwright|pytest|pytest-timeout|pytest-xdist

lock: $(PY)  ## move every package to its current version in *.lock, or one: make lock PACKAGE=starlette
	@echo "Looking for current versions ..."
	@$(PY) -m pip install --quiet --upgrade uv
	@$(LOCK) pyproject.toml --output-file requirements.lock
	@$(LOCK) pyproject.toml --extra dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(LOCK) - --constraint requirements-dev.lock --output-file requirements-build.lock
	@sed -nE 's/^(($(FLOOR_TOOLS))==[^ ]+).*/\1/p' requirements-dev.lock \
	  | $(LOCK) pyproject.toml - --resolution lowest-direct --output-file .ci/floors.lock
	@printf 'pipx\nuv\n' | $(LOCK) - --output-file .ci/installers.lock
	@echo "Written: requirements*.lock and .ci/*.lock. Now: make install test"

# No resolver (--no-deps): the lock is complete, so there is nothing to resolve. pip before 23.3 resolves an extra such as
# coverage[toml] past the lock, and fails as soon as there is a newer release. `pip check` then says what a resolver would.
# Two steps, because pip cannot check hashes of a directory: first what the locks name, build backend included, then this
# package alone, which must not build with anything else (--no-build-isolation) either.
define INSTALL
	@$(PY) -m pip install --quiet --no-deps --require-hashes $(addprefix --requirement ,$(1))
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(PY) -m pip check || { echo "$(VENV) has packages that do not fit together; make it anew: make clean install" >&2; exit 1; }
endef

LOCKS := requirements.lock requirements-build.lock requirements-dev.lock

$(SERVICE): requirements.lock requirements-build.lock pyproject.toml $(ANEW) | $(PY)
	@echo "Installing what the service needs into $(VENV) (the first time takes half a minute) ..."
	$(call INSTALL,requirements.lock requirements-build.lock)
	@touch $@

$(STAMP): $(LOCKS) pyproject.toml $(ANEW) | $(PY)
	@echo "Installing what requirements-dev.lock names into $(VENV) (the first time takes a minute) ..."
	$(call INSTALL,requirements-dev.lock)
	@touch $(SERVICE) $@
	@echo "Ready: make run, make test, or $(BIN)/relay --help"

# No prerequisites: the interpreter's own date is older than anything here. Missing or dangling (a Python that has been
# removed) is the only reason to make it anew, and then everything in it too.
$(PY):
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { echo "relay needs Python 3.11 or newer, and there is no $(PYTHON). Install one, or say which: make install PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "relay needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" -V 2>&1 | head -n 1). Say which one to use: make install PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@"$(PYTHON)" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
