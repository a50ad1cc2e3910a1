# Each verb is a few commands; README shows them for machines without make.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python -m
INSTALLED = $(VENV)/.installed

export MPLBACKEND = Agg
unexport PYTHONDONTWRITEBYTECODE # compiled once, and not by each of the many processes of the tests

.DEFAULT_GOAL := help
.PHONY: help setup book html check test regress refresh bench gpu clean

help:  ## List the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED)  ## Create .venv and install the pinned set of packages

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 to 3.13 is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --constraint constraints.txt --editable ".[book,test]"
	@touch $@

book: setup  ## Run every chapter at quick size on embedded data, then build the book
	$(RUN) eae_book book

html: setup  ## Build the book from the committed notebooks, without running them
	$(RUN) eae_book book --committed

# Two processes on two cores, one thread each.
check test regress: export OMP_NUM_THREADS = 1

.PHONY: lint
lint: setup
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

check: lint  ## Lint, types, unit tests, examples in docstrings: before each commit
	$(RUN) pytest --numprocesses 2 --dist loadfile -m "not slow and not regress"

test: lint  ## check, and some chapters at quick size, the wheel, the book, its pages
	$(RUN) pytest --numprocesses 2 --dist loadgroup -m "not regress"

regress: setup  ## Every chapter, also at its written size beside its committed outputs, all pages, all links
	$(RUN) pytest --numprocesses 2 --dist loadgroup -m "regress or browser"

refresh: setup  ## Run every chapter at its written size and renew the committed outputs
	$(RUN) eae_book refresh

bench: setup  ## Measure speed beside other implementations; renews data/results/benchmarks
	for name in engines entropy regularizers training_loop peers decoder; do $(VENV)/bin/python benchmarks/$$name.py || exit 1; done

gpu: MINUTES ?= 9
gpu: setup  ## Use a GPU for MINUTES (9): benchmarks, then the papers' cells; again to go on
	$(VENV)/bin/python workflow/gpu.py --minutes $(MINUTES) $(if $(CARRY),--carry $(CARRY))

clean:  ## Remove what the verbs made, but neither data nor records
	rm -rf $(VENV) _build _runs .pytest_cache .mypy_cache .ruff_cache
