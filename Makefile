# make run    the app on http://127.0.0.1:7860
# make test   every check, with everything it needs
# make proof  the long versions of the same checks, and fresh figures in benchmarks/
# make lint   style
#
# PYTHON=python3.12 chooses the interpreter; TORCH_INDEX=<url> takes torch from that package index (see README: machines without a GPU).

PYTHON ?= python3
VENV   ?= .venv
PIP    := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
PY     := $(VENV)/bin/python
# A variable of its own: a comma inside $(if ...) would end the argument.
TORCH  := "torch>=2.8,<2.14"

.PHONY: run test proof lint clean
.DELETE_ON_ERROR:

run: $(VENV)/.stamp-run
	$(PY) app.py

test: $(VENV)/.stamp-dev system
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not proof" -n auto --dist loadfile

# One after another and on all cores, so that the seconds mean something.
proof: test
	PROOF_FIGURES=benchmarks $(PY) -m pytest -m proof
	$(PY) -m catvton bench --write benchmarks/bench.json

lint: $(VENV)/.stamp-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/hadolint Dockerfile

# A stamp is as new as the requirements it was made from: pip runs again only when they change.
$(VENV)/.stamp-run: requirements.txt | $(VENV)/bin/python
	$(PIP) -r $<
	@touch $@

$(VENV)/.stamp-dev: requirements-dev.txt $(filter-out requirements-dev.txt requirements-detectron2.txt,$(wildcard requirements*.txt)) | $(VENV)/bin/python
	$(PIP) -r $<
	@touch $@ $(VENV)/.stamp-run

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; choose one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(PIP) $(TORCH) --index-url $(TORCH_INDEX))

# What the tests need of the system: a browser to drive, Redis and PostgreSQL to start as servers of their own, and curl and
# Node for the examples of the API. On a bare Debian, as root, what is missing is installed; elsewhere a sentence says what.
BROWSERS   := chromium chromium-browser google-chrome
POSTGRES   := $(wildcard /usr/lib/postgresql/*/bin/initdb)

.PHONY: system browser servers clients
system: browser servers clients

browser:
	@$(foreach name,$(BROWSERS),command -v $(name) >/dev/null ||) \
	  $(call install,chromium fonts-dejavu-core,Chromium or Chrome)

# Without the server that Debian would start right away: the tests start theirs on ports of their own.
servers:
	@command -v redis-server >/dev/null || $(call install,redis-server,Redis)
	@$(if $(POSTGRES),:,command -v pg_ctl >/dev/null) || $(call install,postgresql,PostgreSQL)

clients:
	@command -v curl >/dev/null || $(call install,curl,curl)
	@command -v node >/dev/null || $(call install,nodejs,Node)

# $(call install,packages,what to name it to people)
define install
{ if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $(1); \
  else echo "The tests need $(2): install it and run make test again." >&2; exit 1; fi; }
endef

clean:
	rm -rf $(VENV) runs dist .pytest_cache .hypothesis .ruff_cache
