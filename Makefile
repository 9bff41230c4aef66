# Everything sets itself up: `make check`, `make test`, `make demo`, `make bench` are all there is to remember.
PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

.PHONY: demo test check bench manifests clean

demo: $(READY)
	$(BIN)/python -m sandbox.demo

# A suite that is named here fails where its server cannot be had, instead of being skipped.
# An API server is built where Go is: about five minutes on two cores, once.
GO := $(shell command -v go)
HAS_GO := $(if $(KUBEBUILDER_ASSETS)$(GO),cluster)
# buildah needs root where there is no engine, and comes from the package archive.
HAS_ROOT := $(if $(filter 0,$(shell id -u)),$(if $(shell command -v apt-get),image))
test: export OPSKIT_TESTS_MUST_RUN ?= mysql,mariadb,s3,mlmd,prometheus,browser,$(HAS_GO),$(if $(GO),registry),$(HAS_ROOT)
test: $(READY)
	$(if $(HAS_GO),$(BIN)/python -m sandbox.cluster)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# What `opskit cluster install` applies: kept in the package, held to the overlay by a test.
manifests: $(READY)
	$(BIN)/python -m sandbox.kustomize cronjobs/overlays/install > opskit/cluster/manifests.yaml

bench: $(READY)
	$(BIN)/python -m benchmarks

# pip knows dependency groups from 25.1 on.
$(READY): pyproject.toml $(wildcard setup.py opskit/mysql/*.c)
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with venv was found; set PYTHON" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev --editable '.[cluster,encryption,probe,serve]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
