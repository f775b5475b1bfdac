# make demo and make test need nothing but Python >= 3.11; both may be repeated at will.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PACKAGES := $(wildcard plugins/*/pyproject.toml contrib/*/pyproject.toml benchmarks/pyproject.toml)

.PHONY: demo test bench docs tamper kills scale clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml .ci/constraints.txt $(PACKAGES)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "featx needs Python 3.11 or newer, got " + sys.version.split()[0])'
	@echo "installing featx, its plugins and PyTorch into $(VENV): a few minutes and about 2 GB"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch==2.13.0 -c .ci/constraints.txt
	$(BIN)/pip install --quiet -c .ci/constraints.txt -e '.[augment,av,plot,tables,docs,dev]' $(foreach p,$(PACKAGES),-e $(dir $(p)))
	touch $@

demo: $(STAMP)
	$(BIN)/python -m featx.testing.demo demo

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy core/featx $(wildcard plugins/*/src contrib/*/src)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# speed against peers, interleaved in one process; close other programs first
bench: $(STAMP)
	$(BIN)/python benchmarks/startup.py
	for suite in benchmarks/speed/*.py; do $(BIN)/python $$suite || exit; done

docs: $(STAMP)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

# every prefix, 2,000 bit flips and every hostile structure of a shard; the suite runs a small version
tamper: $(STAMP)
	$(BIN)/python tests/tampering.py

# N extractions killed at random moments, resumed and compared (the suite runs 20), and 10 trainings
N ?= 200
kills: $(STAMP)
	$(BIN)/python benchmarks/reliability/kills.py $(N)
	$(BIN)/python benchmarks/reliability/training_kills.py

# 100,000 tiny tracks: throughput, store, memory of the supervising process
scale: $(STAMP)
	$(BIN)/python benchmarks/scale.py

clean:
	rm -rf $(VENV) demo docs/_build
