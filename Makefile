.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
export PYTHONPATH := shared:.
# Else each of the many processes compiles the project anew.
unexport PYTHONDONTWRITEBYTECODE
needs_docker = docker version >/dev/null 2>&1 || { echo "make $@ needs a Docker engine that runs." >&2; exit 1; }
validate = SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam validate --lint

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /  make \1\t/p' Makefile | expand -t 18

run: .venv-run  ## a real PostgreSQL and Valkey of its own, and the API on 127.0.0.1:3000 (or PORT)
	@exec $(PYTHON) -m local run

demo: .venv-run  ## replay real LLM traffic through the API (ARGS="--help" for options)
	@exec $(PYTHON) -m local.demo $(ARGS)

month-end: .venv-run  ## bill a month for every organization of the running product (PERIOD=2026-02)
	@$(PYTHON) -m local month-end $(PERIOD)

find: .venv-run  ## what the running product knows of a call (REQUEST_ID=...); without one, open holds (ARGS="--help")
	@$(PYTHON) -m local.find $(if $(REQUEST_ID),--request-id "$(REQUEST_ID)") $(ARGS)

test: .venv  ## every test, a real PostgreSQL and a real Valkey for each worker (ARGS="-k name" for some)
	$(PYTHON) -m pytest --numprocesses logical --maxprocesses 8 --dist worksteal $(ARGS)

openapi: .venv  ## write docs/openapi.json, the API's document, from the routes
	@$(PYTHON) -m local.openapi

fuzz: .venv  ## ask the API for what its document says and more, over 10,000 times
	FUZZ=100 $(PYTHON) -m pytest tests/functions/test_openapi.py -s

chaos: .venv  ## break the network, servers and processes under load (CHAOS_SEED=... CHAOS=1 repeats a run)
	CHAOS=$(or $(CHAOS),2) $(PYTHON) -m pytest tests/chaos -s

soak: .venv  ## mixed load with faults for long (MINUTES=30); fails unless memory, connections and tables stay flat
	$(PYTHON) -m tests.chaos.soak $(or $(MINUTES),30)

planted: .venv  ## plant bugs in a copy, one after the other, and show which test notices each
	$(PYTHON) -m tests.chaos.planted $(BUG)

interleavings: .venv  ## stop each operation of an organization before each statement while another runs (hours)
	INTERLEAVINGS=$(or $(PAIRS),all) $(PYTHON) -m pytest tests/interleavings --numprocesses logical -s

mutants: .venv  ## put 200 mistakes into SQL and Python each, and see that tests fail (MUTANTS=all takes hours)
	$(PYTHON) -m tests.mutants --sql $(or $(MUTANTS),200) --python $(or $(MUTANTS),200) $(ARGS)

sam-test: .venv .venv-sam  ## every event in a container, by `sam local` (needs Docker)
	@$(needs_docker)
	@$(MAKE) --no-print-directory build ARGS=
	$(validate)
	$(PYTHON) -m pytest -m sam tests/sam $(ARGS)

sam-api: .venv .venv-sam  ## the running product's API in containers, by `sam local start-api` (needs Docker)
	@$(needs_docker)
	@$(MAKE) --no-print-directory build ARGS=
	@exec $(PYTHON) -m local start-api

check: .venv .venv-sam .venv-checkov  ## format, lint, types, template, and that a client in TypeScript compiles
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy shared functions local tests bench clients/python
	$(validate)
	.venv-sam/bin/cfn-lint stacks/*.yaml
	.venv-checkov/bin/checkov --config-file .checkov.yaml --quiet --compact --skip-download -f template.yaml stacks/*.yaml
	.ci/typescript

vendor: .venv-run  ## the console's libraries, unpacked from npm (for maintainers; needs npm)
	$(PYTHON) -m local.vendor

client: .venv  ## the wheel of the Python client, in clients/python/dist
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir clients/python/dist ./clients/python

client-models: .venv  ## the modules of the Python client that are generated from docs/openapi.json
	$(PYTHON) clients/python/generate.py

client-test: .venv .venv-litellm  ## the Python client in a real LiteLLM proxy, and its examples
	$(PYTHON) -m pytest -m litellm tests/client -n0 $(ARGS)

bench: .venv  ## the benchmarks, side by side with their floors and peers
	$(PYTHON) -m bench $(ARGS)

migrate: $(if $(ENV),.venv-sam,.venv-run)  ## the database at DATABASE_URL (an administrator's), or the online migrations of a stack (ENV=prod)
	@$(if $(ENV),.venv-sam/bin/python -m local.online $(ENV) $(or $(CONFIG),samconfig.toml),DISTRIBUTED=$(or $(DISTRIBUTED),0) $(PYTHON) -m local migrate)

audit: .venv-run  ## check every invariant of the ledger on the live database
	@$(PYTHON) -m local audit

build: .venv-sam  ## what `sam deploy` uploads (REVISION=text, a new one, has changed parameters take effect)
	PATH="$(CURDIR)/.venv-sam/bin:$$PATH" SAM_CLI_TELEMETRY=0 sam build $(ARGS)
	@sed -i.bak "s/CONFIG_REVISION: .*/CONFIG_REVISION: '$(or $(REVISION),1)'/" .aws-sam/build/template.yaml

deploy: .venv-sam  ## deploy what was built (ENV=dev, an environment of samconfig.toml; CONFIG=../ours.toml)
	@.venv-sam/bin/python -m local.deploy $(or $(ENV),default) $(or $(CONFIG),samconfig.toml)

rollback: .venv-sam  ## have the functions run the release before again; once more returns (ENV=prod)
	@.venv-sam/bin/python -m local.rollback $(or $(ENV),default) $(or $(CONFIG),samconfig.toml)

stop: .venv-sam  ## stop the functions that write, before a restore (ENV=prod)
	@.venv-sam/bin/python -m local.writers stop $(or $(ENV),default) $(or $(CONFIG),samconfig.toml)

start: .venv-sam  ## start them again (ENV=prod)
	@.venv-sam/bin/python -m local.writers start $(or $(ENV),default) $(or $(CONFIG),samconfig.toml)

lock:  ## pin the newest allowed versions (needs uv)
	uv pip compile -q --upgrade --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		pyproject.toml --group dev -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		pyproject.toml --group run -c requirements/dev.txt -o requirements/run.txt
	uv pip compile -q --upgrade --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--group sam -o requirements/sam.txt
	uv pip compile -q --upgrade --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--group checkov -o requirements/checkov.txt
	uv pip compile -q --upgrade --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--group litellm -o requirements/litellm.txt
	uv pip compile -q --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		pyproject.toml -c requirements/dev.txt -o layers/dependencies/requirements.txt
	uv pip compile -q --universal --python-version 3.13 --generate-hashes --no-emit-index-url --no-header --no-annotate \
		--group documents -c requirements/dev.txt -o layers/documents/requirements.txt

.venv: requirements/dev.txt
	@local/setup.sh .venv requirements/dev.txt

# The same environment, with only what running needs; requirements/dev.txt contains all of it.
.venv-run: requirements/run.txt
	@local/setup.sh .venv requirements/run.txt

.venv-sam: requirements/sam.txt
	@local/setup.sh .venv-sam requirements/sam.txt 3.13

.venv-checkov: requirements/checkov.txt
	@local/setup.sh .venv-checkov requirements/checkov.txt 3.13

.venv-litellm: requirements/litellm.txt
	@local/setup.sh .venv-litellm requirements/litellm.txt 3.13

.PHONY: help run demo month-end find test openapi fuzz chaos interleavings mutants sam-test sam-api check client client-models client-test bench migrate audit build deploy rollback stop start lock .venv .venv-run .venv-sam .venv-checkov .venv-litellm vendor planted soak
