# Everything that a fresh machine needs is installed by the first command; second runs skip it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LAB    := $(VENV)/.ready-virtual-lab
SYSTEM := $(VENV)/.ready-system

.PHONY: setup demo test test-all lint lab demo-data benchmarks accuracy clean

setup: $(READY)

$(SYSTEM): scripts/system-packages.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mobility needs Python 3.11 or newer; name one with make PYTHON=..." >&2; exit 1; }
	sh scripts/system-packages.sh runtime
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	touch $@

# An editable install leaves out the file that turns the server extension on, so it is copied.
$(READY): pyproject.toml $(SYSTEM)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	$(BIN)/mobility models
	mkdir -p $(VENV)/etc/jupyter/jupyter_server_config.d
	cp mobility/server/jupyter_server_config.d/mobility.json $(VENV)/etc/jupyter/jupyter_server_config.d/
	touch $@

$(LAB): $(READY)
	sh scripts/system-packages.sh slow
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test,virtual-lab,cross-checks]"
	test -d $(VENV)-movement || sh scripts/movement-environment.sh $(VENV)-movement
	touch $@

demo: $(READY)
	$(BIN)/mobility demo

# The fast tier: under 10 minutes on two cores.
test: $(READY) lint
	$(BIN)/python -m pytest -m "not slow"

# Everything: rendering, browsers, faults, notebooks, benchmarks.
test-all: $(LAB) lint
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/nbstripout --verify notebooks/*.ipynb

lab: $(READY)
	$(BIN)/jupyter lab notebooks/workbench.ipynb $(LAB_ARGS)

# Render the demo video with its truth, and make the demo session from it.
demo-data: $(LAB)
	$(BIN)/python scripts/demo_data.py

benchmarks: $(READY)
	$(BIN)/python benchmarks/run.py start
	$(BIN)/python benchmarks/run.py speed
	$(BIN)/python benchmarks/run.py memory
	$(BIN)/python benchmarks/batch.py reports
	$(BIN)/python benchmarks/batch.py throughput
	$(BIN)/python benchmarks/scale.py
	test -d $(VENV)-kinemotion || sh scripts/kinemotion-environment.sh $(VENV)-kinemotion $(BIN)/python
	$(BIN)/python benchmarks/peer.py $(VENV)-kinemotion
	$(BIN)/python benchmarks/server.py

# Errors of the angles against rendered truth, and against lab data where they are at hand.
accuracy: $(LAB)
	$(BIN)/mobility virtual-lab sweep benchmarks/held_out.yaml benchmarks/held_out_2.yaml benchmarks/errors.yaml
	test ! -d ../shared/data || $(BIN)/python benchmarks/filmed.py
	test ! -d ../shared/data || $(BIN)/python benchmarks/uiprmd.py
	$(BIN)/python benchmarks/cameras.py
	$(BIN)/python benchmarks/accuracy.py

clean:
	rm -rf $(VENV) $(VENV)-movement $(VENV)-kinemotion build *.egg-info .pytest_cache .mypy_cache .ruff_cache
