# A report on knowledge distillation, one command away: `make report`. Works with GNU make 3.81 and later.

# What may be set on the command line, as in `make report SEEDS=5 OUT=elsewhere`. Empty: the program decides.
## DATA=data        the folder of datasets (*.pkl)
## OUT=reports      where the report goes (reports/draft for smoke, reports/sweep for sweep, benchmarks for bench)
## SEEDS=30         seeds of each method
## EPOCHS=          epochs of each training
## JOBS=            notebooks that run at once, with their helper processes (as many as there are cores)
## SCHEDULER=       a dask scheduler that runs them, tcp://host:port or the file that holds it (this machine)
## DASHBOARD=       1: Dask's dashboard, to this machine only
## METHODS=         methods of your own, a Python file, which runs (none; an example: notebooks/methods.py)
## SWEEP=           lists of settings, in YAML (notebooks/sweep.yaml)
## VERIFY=          smoke: a quick draft, instead of the full report
## FAST=            1: test without what takes longest, in about a minute
## PYTHON=python3   the Python that .venv is made from
VARIABLES = DATA OUT SEEDS EPOCHS JOBS SCHEDULER DASHBOARD METHODS SWEEP VERIFY FAST PYTHON
DATA =
OUT =
SEEDS =
EPOCHS =
JOBS =
SCHEDULER =
DASHBOARD =
METHODS =
SWEEP =
VERIFY =
FAST =
PYTHON = python3

# A value is text: it goes through the environment, is quoted where it is used, and nothing expands it.
$(foreach name,$(VARIABLES),$(eval override $(name) := $$(value $(name))))
export $(VARIABLES)

# A misspelt name would be ignored, and a long run would be the wrong one.
given := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
unknown := $(filter-out $(VARIABLES) SHELL MAKE%,$(given))
$(if $(unknown),$(error there is no variable $(unknown): set $(VARIABLES)))

# Python in the environment, which is made on first use (tools/environment.py says how and where).
need_python = command -v "$$PYTHON" >/dev/null || \
	{ echo "there is no $$PYTHON: install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=/path/to/python ..." >&2; exit 1; }
python = @$(need_python); exec "$$PYTHON" -I -S tools/environment.py

data = --data="$${DATA:-data}"
report = -m kdlib.report run $(data)
$(if $(filter-out smoke,$(VERIFY)),$(error VERIFY: expected smoke or nothing, got $(VERIFY)))
$(if $(filter-out 1,$(DASHBOARD)),$(error DASHBOARD: expected 1 or nothing, got $(DASHBOARD)))
$(if $(filter-out 1,$(FAST)),$(error FAST: expected 1 or nothing, got $(FAST)))
reference = reports/reference/$(if $(VERIFY),smoke,whole)
budget = $(if $(VERIFY),--draft --seeds=2 --epochs=2)
options = $${SEEDS:+"--seeds=$$SEEDS"} $${EPOCHS:+"--epochs=$$EPOCHS"} $${JOBS:+"--jobs=$$JOBS"} \
	$${SCHEDULER:+"--scheduler=$$SCHEDULER"} $${DASHBOARD:+--dashboard} $${METHODS:+"--methods=$$METHODS"}

.DEFAULT_GOAL := help
.PHONY: help report study smoke sweep archive verify reference data collection lab open test lint bench lock clean

help: ## what can be made, and what can be set
	@echo 'make TARGET [VARIABLE=value ...]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile
	@echo 'variables, each with its value when it is not set:'
	@awk '/^## / { print "  " substr($$0, 4) }' Makefile

report: ## the report on all datasets, reports/index.html; what is up to date is not run again
	$(python) $(report) --out="$${OUT:-reports}" $(options)

study: ## the report, and all that is slow
	$(python) $(report) --study --out="$${OUT:-reports}" $(options)

smoke: ## a draft of the report, reports/draft/index.html: everything runs, on too few seeds and epochs
	$(python) $(report) --draft --out="$${OUT:-reports/draft}" --seeds=2 --epochs=2 $(options)

sweep: ## every combination of the settings in SWEEP, reports/sweep/index.html; only what is new runs
	$(python) -m kdlib.report sweep $(data) --out="$${OUT:-reports/sweep}" $(options) -- "$${SWEEP:-notebooks/sweep.yaml}"

archive: ## one zip of the report in OUT, archive.zip, with its data, networks, notebooks and code
	$(python) -m kdlib.report archive $(data) $${METHODS:+"--methods=$$METHODS"} -- "$${OUT:-reports}"

verify: ## make the report again, in reports/verify, and compare it with the committed reference; or VERIFY=smoke
	$(python) $(report) --out=reports/verify --force $(budget) $(options)
	$(python) -m kdlib.report verify reports/verify $(reference)

reference: ## the report in OUT becomes the reference, or with VERIFY=smoke the one in reports/draft
	$(python) -m kdlib.report keep "$${OUT:-$(if $(VERIFY),reports/draft,reports)}" $(reference)

data: ## make the four datasets again, in data/
	$(python) -m kdlib.data.gaussians data

collection: ## datasets of other kinds, in data/collection; a report on them: make report DATA=data/collection
	$(python) --collection -m kdlib.data.collection data/collection

lab: ## the notebooks, to explore
	$(python) -m jupyter lab --ServerApp.kernel_spec_manager_class=kdlib.report.execution.jupyter_kernel.LocalKernelSpecManager notebooks

open: ## the report, in the browser
	@$(need_python); "$$PYTHON" -c 'import pathlib, sys, webbrowser; \
	page = pathlib.Path(sys.argv[1], "index.html").resolve(); \
	page.exists() or sys.exit("there is no %s yet: make report writes it" % page); \
	print(page, flush=True); \
	webbrowser.open(page.as_uri()) or sys.exit("no browser was found: open the file by hand")' "$${OUT:-reports}"

test: ## the tests
	$(python) --test -m pytest --numprocesses=2 --dist=loadfile $(if $(FAST),-m "not slow")

lint: ## the style of the code, notebooks too
	$(python) --test -m ruff check
	$(python) --test -m ruff format --check

bench: ## what training costs, here and elsewhere, benchmarks/README.md: half an hour with nothing else running
	$(python) --bench -m benchmarks $${OUT:+"--out=$$OUT"}

compile = @uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-emit-index-url --custom-compile-command "make lock"

lock: ## the locks, after a change of pyproject.toml (needs uv; delete the locks first for newer versions)
	@command -v uv >/dev/null || { echo "make lock needs uv: install it, then try again" >&2; exit 1; }
	$(compile) pyproject.toml --output-file requirements.txt
	$(compile) --group test --constraint requirements.txt --output-file requirements-test.txt
	$(compile) --group collection --constraint requirements.txt --output-file requirements-collection.txt
	$(compile) --group bench --constraint requirements.txt --output-file requirements-bench.txt

clean: ## removes the report and caches; keeps data, reports/reference and the environment
	@test ! -d reports || find reports -mindepth 1 -maxdepth 1 ! -name reference -exec rm -rf {} +
	@find . -path ./.venv -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
	@rm -rf .cache .pytest_cache .ruff_cache .hypothesis build
