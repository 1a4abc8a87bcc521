# Everything that a fresh machine needs is installed by the first command; second runs skip it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
READY  := $(VENV)/.ready
LAB    := $(VENV)/.ready-virtual-lab
SYSTEM := $(VENV)/.ready-system

.PHONY: setup demo test test-all test-pythons test-short lint lab demo-data benchmarks accuracy versions docs clean

setup: $(READY)

$(SYSTEM): scripts/system-packages.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mobility needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 1; }
	sh scripts/system-packages.sh runtime
	@echo "making the environment $(VENV)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	touch $@

# An editable install leaves out two files, so they are copied: one turns the server extension on,
# one turns off that JupyterLab asks its makers for news and updates.
$(READY): pyproject.toml constraints.txt $(SYSTEM)
	@echo "upgrading pip in $(VENV)"
	$(PIP) --upgrade pip
	@echo "installing mobility and the packages that it needs into $(VENV): some minutes, once"
	$(PIP) --constraint constraints.txt --editable ".[test]"
	@echo "fetching the pose model, if it is not there"
	$(BIN)/mobility models
	mkdir -p $(VENV)/etc/jupyter/jupyter_server_config.d
	cp mobility/serve/jupyter_server_config.d/mobility.json $(VENV)/etc/jupyter/jupyter_server_config.d/
	mkdir -p $(VENV)/share/jupyter/lab/settings/overrides.d
	cp mobility/serve/overrides.d/mobility.json $(VENV)/share/jupyter/lab/settings/overrides.d/
	touch $@

$(LAB): $(READY)
	sh scripts/system-packages.sh slow
	@echo "installing the packages of the virtual lab and of the slow tests into $(VENV): some minutes, once"
	$(PIP) --constraint constraints.txt --editable ".[test,virtual-lab,cross-checks]"
	test -d $(VENV)-movement || sh scripts/movement-environment.sh $(VENV)-movement
	touch $@

demo: $(READY)
	@echo "analysing the demo video and drawing its report: about a minute"
	$(BIN)/mobility demo

PYTEST := $(BIN)/python -m pytest --numprocesses=logical --dist=loadfile

# The fast tier: under 10 minutes on two cores.
test: $(READY) lint
	$(PYTEST) -m "not slow"

# Everything: besides, rendering, browsers, faults, notebooks, benchmarks.
test-all: test $(LAB)
	$(PYTEST) -m slow

# The demo and the tests of what computes, on the other Pythons that this machine has.
PYTHONS ?= $(shell sh scripts/interpreters.sh)
test-pythons: $(SYSTEM)
	@own=$$($(BIN)/python -c 'import platform; print(platform.python_version())'); \
	echo "Python $$own: the demo and all tests, by make demo test test-all"; \
	for python in $(PYTHONS); do \
		version=$$($$python -c 'import platform; print(platform.python_version())'); \
		[ $${version%.*} != $${own%.*} ] || continue; \
		echo "Python $$version: the demo and the tests of what computes, with $$python"; \
		$(MAKE) --no-print-directory demo test-short PYTHON=$$python VENV=$(VENV)-$$version || exit 1; \
	done

test-short: $(READY)
	$(PYTEST) -m "not slow" tests/capture tests/kinematics tests/assessment tests/test_project.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify notebooks/[!m]*.ipynb
	$(BIN)/python scripts/plain_english.py

# JupyterLab saves what it runs: that is done in a copy, which is the user's, made once.
lab: $(READY) notebooks/my_workbench.ipynb
	$(BIN)/jupyter lab --ServerApp.root_dir=notebooks --LabApp.default_url=/lab/tree/my_workbench.ipynb $(LAB_ARGS)

notebooks/my_workbench.ipynb:
	cp notebooks/workbench.ipynb $@

# Render the demo video with its truth, and make the demo session from it.
demo-data: $(LAB)
	$(BIN)/python scripts/demo_data.py

benchmarks: $(READY)
	$(BIN)/python benchmarks/run.py start
	$(BIN)/python benchmarks/run.py speed
	$(BIN)/python benchmarks/run.py memory
	$(BIN)/python benchmarks/batch.py reports
	$(BIN)/python benchmarks/batch.py throughput
	test -d $(VENV)-kinemotion || sh scripts/kinemotion-environment.sh $(VENV)-kinemotion $(BIN)/python
	$(BIN)/python benchmarks/peer.py $(VENV)-kinemotion
	$(BIN)/python benchmarks/server.py

# Errors of the angles on real people, where the clips are at hand, and against rendered truth.
accuracy: $(LAB)
	test ! -d ../shared/data || $(BIN)/python benchmarks/real.py
	test ! -d ../shared/data || $(BIN)/python benchmarks/balance.py
	$(BIN)/mobility virtual-lab sweep benchmarks/reporting2.yaml
	test ! -d ../shared/data || $(BIN)/python benchmarks/uiprmd.py
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python scripts/accuracy_tables.py
	$(BIN)/python scripts/accuracy_figure.py

# The documentation, in build/docs/html; a warning is an error.
docs: $(VENV)/.ready-docs
	$(BIN)/sphinx-build --builder html --fail-on-warning --keep-going --fresh-env --quiet --doctree-dir build/docs/doctrees docs build/docs/html
	@echo "build/docs/html/index.html"

$(VENV)/.ready-docs: $(READY)
	@echo "installing the packages of the documentation into $(VENV): a minute, once"
	$(PIP) --constraint constraints.txt --editable ".[docs]"
	touch $@

# The newest versions that fit together, for every Python of this machine; then run all tests.
versions: $(READY)
	$(BIN)/python scripts/renew_versions.py $$(sh scripts/interpreters.sh)

clean:
	rm -rf $(VENV) $(VENV)-* build docs/reference *.egg-info .pytest_cache .mypy_cache .ruff_cache
