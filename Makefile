# The two commands of the product are `make up` and `make test`; plain `make` lists the others.
# A bare machine needs Python 3.11 or newer, git and make; Debian packages that are missing are installed (.ci/packages).

PYTHON ?= python3
PORT ?= 8000
HOME_DIR ?= var
STORE ?=
AUTOSUBMIT_ENV := $(HOME_DIR)/autosubmit-env
OWN_AUTOSUBMIT := $(AUTOSUBMIT_ENV)/bin/autosubmit
AUTOSUBMIT ?= $(OWN_AUTOSUBMIT)
# The folder that pictures show paths of.
STAGE := /tmp/autosubmit-portal
# Autosubmit API, which `make bench` compares the portal with.
PEER_VERSION := 4.2.0
PEER ?= $(HOME_DIR)/peer-env
TOOLS ?= ../shared/tools
STORES ?= $(HOME_DIR)/bench
ONLY ?=

# Makes the requirements: for every Python that we support, with the hashes of all files.
UV_VERSION := 0.13.8
LOCK := $(HOME_DIR)/lock-env/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# The newest Python that pyproject.toml names, wherever it is here, and what is tested on it with the newest Django: the
# pages of the console, which reach into Django the furthest, the workers, agent and gateway. Queries are counted with
# our own Django.
NEWEST := 3.13
NEWEST_PYTHON ?= $(firstword $(wildcard $(patsubst %,%/python$(NEWEST),/usr/local/bin /usr/bin $(HOME)/.pyenv/versions/$(NEWEST).*/bin)))
NEWEST_ENV := $(HOME_DIR)/newest-env
NEWEST_TESTS := tests/agent tests/console tests/gateway tests/workers tests/test_checks.py -k 'not queries'

# Hundreds of processes of a test run would compile the portal anew, where this is set.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
PY := $(VENV)/bin/python
PIP_INSTALL := -m pip install -qq --disable-pip-version-check
# Checks touch neither the database nor the home of a portal.
KEY := the-checks-need-a-key-that-is-long-and-has-many-different-letters
CHECK := PORTAL_HOME=$(VENV)/check PORTAL_SECRET_KEY=$(KEY) \
	PORTAL_DATABASE_URL=sqlite://:memory:
# The slow tests mostly wait for processes: five at a time keep two cores busy. A file stays together, for its tests share
# a portal.
SIDE_BY_SIDE := -n 5 --dist loadfile
# With five portals, browsers and sshds on two cores a test may meet a pause that it does not expect, the fast ones beside
# them too. It may try again, but no more than three tests in a run; what it saw at first is printed, for it is a fault of
# the test to be mended.
SECOND_TRY := --reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks
# The fast ones compute, in `make test` whenever the slow ones wait. Each process has one half, so that what a file makes
# once is made once.
TWO_HALVES := -n 2 --dist worksteal
TWICE := fast and database and not one_database
# One server for all tests: by themselves, those that need one would each start their own.
ON_POSTGRES := $(PY) -m tests.support.postgres
ON_SQLITE := env -u PORTAL_DATABASE_URL
TOGETHER := $(MAKE) --no-print-directory -j 2
PLAY := $(ON_SQLITE) AUTOSUBMIT="$(abspath $(AUTOSUBMIT))" $(PY) -m tests.tools.cases
PRODUCTION := PORTAL_HTTPS=true PORTAL_DEBUG=false PORTAL_ALLOWED_HOSTS=portal.example.org \
	PORTAL_GATEWAY=/run/autosubmit-portal-gateway

.DEFAULT_GOAL := help
.PHONY: help install install-tests autosubmit up test test-slow test-twice test-fast test-newest check check-types check-rest lock fix chaos cases case-es case-climate-dt case-edito procedures fuzz trace bench peer back-test screenshots messages dist image-check sbom clean
.PHONY: packages-for-up packages-for-test packages-for-cases packages-for-chaos

help: ## list what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@echo "  Parameters of bench: ONLY= (part or parts), PEER= (environment of Autosubmit API), TOOLS= (folder of make_store.py)"
	@echo "  Parameters of up: PORT= (8000), HOME_DIR= (var), STORE= (an Autosubmit home to serve), AUTOSUBMIT= (its program), PORTAL_PATH= (/)"

install: $(VENV)/installed ## the virtual environment with what the portal needs

install-tests: $(VENV)/installed-tests ## … and with what the checks and tests need

$(PY):
	@$(PYTHON) -c '' 2>/dev/null || { \
		echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is `$(PYTHON) -V`, but 3.11 or newer is needed. Name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module. Install it (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Making the virtual environment $(VENV) …"
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/installed: $(PY) requirements.txt
	@echo "Installing the portal's requirements …"
	@$(PY) $(PIP_INSTALL) --require-hashes -r requirements.txt
	@touch $@

$(VENV)/installed-tests: $(VENV)/installed tests/requirements.txt
	@echo "Installing what the tests need …"
	@$(PY) $(PIP_INSTALL) --require-hashes -r tests/requirements.txt
	@touch $@

autosubmit: $(AUTOSUBMIT) ## Autosubmit itself, in an environment of its own

$(OWN_AUTOSUBMIT): | $(PY)
	@$(PY) -m autosubmit_portal.management.autosubmit_environment "$(AUTOSUBMIT_ENV)"

peer: $(PEER)/bin/autosubmit_api ## Autosubmit API, in an environment of its own, to compare with

$(PEER)/bin/autosubmit_api: | $(PY)
	@echo "Installing Autosubmit API $(PEER_VERSION) into $(PEER) …"
	@$(PY) -c 'import sys, venv; venv.create(sys.argv[1], clear=True, with_pip=True)' "$(PEER)"
	@"$(PEER)/bin/python" $(PIP_INSTALL) "autosubmit_api==$(PEER_VERSION)" || { \
		rm -rf "$(PEER)"; exit 1; }

packages-for-up packages-for-test packages-for-cases packages-for-chaos:
	@PYTHON="$(PYTHON)" .ci/packages $(@:packages-for-%=%)

up: packages-for-up install ## start the portal (Ctrl-C stops it)
	@PORTAL_HOME="$(HOME_DIR)" exec $(PY) manage.py up --port "$(PORT)" $(if $(STORE),--store "$(STORE)") \
		$(if $(filter-out $(OWN_AUTOSUBMIT),$(AUTOSUBMIT)),--autosubmit "$(AUTOSUBMIT)")

test: packages-for-test ## all checks and the whole test suite (ALSO=cases plays the infrastructures as well, as root)
	@$(TOGETHER) check autosubmit
	@$(ON_POSTGRES) $(TOGETHER) test-slow test-twice $(ALSO)

test-slow: install-tests autosubmit
	@echo "Slow tests …"
	@$(ON_SQLITE) AUTOSUBMIT="$(AUTOSUBMIT)" $(PY) -m pytest -m "not fast" $(SIDE_BY_SIDE) $(SECOND_TRY)

test-twice: install-tests
	@echo "Beside them: fast tests, and those again on PostgreSQL whose statements are its own …"
	@{ nice $(ON_SQLITE) $(PY) -m pytest -q $(TWO_HALVES) $(SECOND_TRY) && \
		nice $(PY) -m pytest -q -m "$(TWICE)" $(TWO_HALVES) $(SECOND_TRY); } \
		> $(VENV)/fast-tests 2>&1; status=$$?; cat $(VENV)/fast-tests; exit $$status

test-fast: install-tests ## the tests that need nothing but Python, on SQLite
	@$(PY) -m pytest -q $(TWO_HALVES)

test-newest: ## fast tests on the newest Python that we promise, with the newest Django (NEWEST_PYTHON=)
	@if [ -n "$(NEWEST_PYTHON)" ]; then \
		$(MAKE) --no-print-directory "$(NEWEST_ENV)/installed" && \
		"$(NEWEST_ENV)/bin/python" -m pytest -q -p no:cacheprovider $(TWO_HALVES) $(NEWEST_TESTS); \
	else echo "There is no Python $(NEWEST) here: nothing was tested on it."; fi

$(NEWEST_ENV)/installed: tests/requirements.txt tests/newest.txt
	@echo "Installing what the tests need, for $(NEWEST_PYTHON) …"
	@"$(NEWEST_PYTHON)" -m venv --clear "$(NEWEST_ENV)"
	@"$(NEWEST_ENV)/bin/python" $(PIP_INSTALL) --require-hashes -r tests/requirements.txt
	@"$(NEWEST_ENV)/bin/python" $(PIP_INSTALL) --require-hashes --no-deps -r tests/newest.txt
	@touch $@

check: check-types check-rest ## style, types, imports, settings, migrations, OpenAPI

check-types: install-tests
	@echo "Checking types …"
	@$(PY) -m mypy

check-rest: install-tests
	@echo "Checking style and imports …"
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --quiet --check . || { echo "Run make fix to format these." >&2; exit 1; }
	@$(VENV)/bin/lint-imports --no-cache > $(VENV)/lint-imports || { cat $(VENV)/lint-imports >&2; exit 1; }
	@$(VENV)/bin/vermin --quiet --no-tips --violations --target=3.10- autosubmit_portal/agent experiments/autosubmit jobs/autosubmit autosubmit_portal/sentences.py
	@$(VENV)/bin/vermin --quiet --no-tips --violations --target=3.9- autosubmit_portal/agent/warm_process.py
	@echo "Checking settings, migrations and OpenAPI …"
	@$(CHECK) $(PY) manage.py check --fail-level WARNING
	@$(CHECK) $(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING
	@$(CHECK) $(PY) manage.py makemigrations --check --dry-run
	@$(CHECK) $(PY) manage.py spectacular --validate --fail-on-warn --file $(VENV)/openapi.yaml

dist: install-tests ## the wheel and the source distribution, into dist/
	@$(PY) -m hatchling build -d dist

image-check: packages-for-test install-tests ## the images by their steps, and the chart's commands in them (root, debootstrap; no network but for packages)
	@$(PY) -c 'import sys; from tests.tools.image.roots import explain_absence; sys.exit(explain_absence() or None)'
	@$(PY) -m pytest -q -m "" tests/tools/image

messages: install-tests ## bring the catalogues of the console's languages up to date, and say what is to be translated
	@DJANGO_SETTINGS_MODULE=tests.settings $(PY) -m tests.tools.messages

sbom: packages-for-test install-tests ## what the images ship, with versions and licences, as CycloneDX into dist/ (root, debootstrap)
	@$(PY) -m tests.tools.sbom --folder dist

lock: $(HOME_DIR)/lock-env/bin/uv ## pins and hashes of the requirements anew, from the .in files beside them (UPGRADE=package)
	@$(LOCK) $(foreach name,$(UPGRADE),--upgrade-package $(name)) requirements.in --output-file requirements.txt
	@$(LOCK) $(foreach name,$(UPGRADE),--upgrade-package $(name)) tests/requirements.in --output-file tests/requirements.txt

$(HOME_DIR)/lock-env/bin/uv: | $(PY)
	@$(PY) -m venv --clear "$(HOME_DIR)/lock-env"
	@"$(HOME_DIR)/lock-env/bin/python" $(PIP_INSTALL) "uv==$(UV_VERSION)"

fix: install-tests ## repair what the style checks can repair
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

case-es case-climate-dt case-edito: packages-for-cases install-tests autosubmit ## bring an infrastructure of docs/infrastructure.md up, use it, cut it (root)
	@$(PLAY) $(@:case-%=%)

cases: packages-for-cases install-tests autosubmit ## all three, one after another, each twice if it fails (root)
	@for case in es climate-dt edito; do $(PLAY) $$case || $(PLAY) $$case || exit 1; done

chaos: packages-for-chaos install-tests autosubmit ## kill everything at random while it works, and look for damage (SEED= repeats; an hour or more)
	@$(PY) -m tests.tools.chaos $(if $(SEED),--seed $(SEED))
	@echo "With the real Autosubmit …"
	@AUTOSUBMIT="$(AUTOSUBMIT)" $(PY) -m pytest -q -m "" tests/tools/chaos/real.py

procedures: install-tests autosubmit ## all commands of Autosubmit by both procedures, whose stores must be the same (AUTOSUBMIT=)
	@AUTOSUBMIT="$(AUTOSUBMIT)" $(PY) -m pytest -q -m "" tests/tools/procedures.py

fuzz: install-tests autosubmit ## random bytes, random configurations beside Autosubmit, all that OpenAPI allows (EXAMPLES=, SEED=)
	@FUZZ_ROUNDS=20 $(if $(SEED),FUZZ_SEED=$(SEED)) $(PY) -m pytest -q tests/console/test_terminal.py tests/jobs/autosubmit/test_characters.py tests/agent tests/gateway
	@AUTOSUBMIT="$(AUTOSUBMIT)" FUZZ_ROUNDS=20 $(if $(SEED),FUZZ_SEED=$(SEED)) \
		$(PY) -m pytest -q -m "" tests/experiments/autosubmit/test_yaml_forms.py
	@PORTAL_HOME=$(VENV)/fuzz PORTAL_SECRET_KEY=$(KEY) $(PY) manage.py collectstatic --no-input --verbosity 0
	@PORTAL_HOME=$(VENV)/fuzz PORTAL_SECRET_KEY=$(KEY) DJANGO_SETTINGS_MODULE=autosubmit_portal.settings \
		$(PY) -m tests.tools.api_fuzz --static $(VENV)/fuzz/static $(if $(EXAMPLES),--examples $(EXAMPLES)) $(if $(SEED),--seed $(SEED))

trace: install-tests ## how many files and jumps between them a request takes (FILES=1 names the files)
	@$(PY) -m tests.tools.trace $(if $(FILES),--files)

bench: packages-for-test install-tests autosubmit ## measure into docs/performance.md (half an hour, a quiet machine; ONLY=actions, changes, hosts, lists, load, pages, pictures, procedures, sites, changing, mirror or reads)
	@$(PY) -m tests.tools.bench --autosubmit "$(AUTOSUBMIT)" --peer "$(PEER)" --tools "$(TOOLS)" --stores "$(STORES)" \
		$(foreach part,$(ONLY),--only $(part))

back-test: install-tests ## how far forecasts of the end were off, on recorded histories (STORES="folders")
	@$(PY) -m tests.tools.back_test $(STORES)

screenshots: packages-for-test install-tests autosubmit ## the pictures of docs/, from the running product
	@rm -rf $(STAGE) && mkdir -p $(STAGE)/opt && chmod -R 755 $(STAGE)
	@AUTOSUBMIT="$(AUTOSUBMIT)" TESTS_RUN_FOLDER=$(STAGE)/opt $(PY) -m pytest -q -m "" --basetemp=$(STAGE)/srv \
		tests/tools/screenshots.py
	@rm -rf $(STAGE)

clean: ## remove the environment and caches; HOME_DIR with its data stays
	rm -rf $(VENV) dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path "./$(HOME_DIR)/*" -prune -exec rm -rf {} +
