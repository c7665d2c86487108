# make setup   install everything into .venv
# make book    execute the notebooks and build the book
# make test    all tests
# make audit   licences and known vulnerabilities of what is installed (needs the network)
PYTHON ?= python3
CONSTRAINTS := -c constraints.txt  # `make setup CONSTRAINTS=` takes the newest versions instead
BIN := .venv/bin
BOOK := $(BIN)/jupyter-book build --all -W --keep-going --config _config.yml --toc book/_toc.yml .

# Each of the many processes of a build and of the tests would compile the modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup notebooks book test audit
setup: .venv/installed

.venv/installed: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + "; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt $(CONSTRAINTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

notebooks: setup
	$(BIN)/python book/execute.py

book: notebooks
	$(BOOK)
	@echo
	@echo "The book: open $(CURDIR)/_build/html/index.html"

test: setup
	$(BIN)/python -m pytest -n 3 --no-loadscope-reorder --junitxml=_build/tests.xml  # which the book's status page shows

# In an environment of its own, as the auditor is no part of what it audits. Versions without "+cpu",
# which no index knows; a package it cannot look up it would pass over, so .ci/audit.py fails for it.
audit: setup
	$(BIN)/python -m piplicenses --from=mixed
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python -m pip list --format=freeze --exclude-editable | sed 's/+.*//' > .venv/audit/installed.txt
	.venv/audit/bin/pip-audit --format json --no-deps --disable-pip -r .venv/audit/installed.txt | $(PYTHON) .ci/audit.py
