# make demo       trains the demonstration network and writes its figure
# make test       checks the style and runs all tests but those that need a GPU
# make test-next  runs the tests of the device and some of learning with Brian2 2.11, on Python
#                 3.13, without what knows nothing of Brian2: other backends and compilers
# make convert-env  makes an environment with Keras and JAX, in which make test runs the
#                 conversions of Keras's models, and their tutorial
# make oracles    runs every test there is, with either Brian2, and compares gradients with JAX's
#                 and eventax's, which get environments of their own, and on hundreds of random
#                 networks; hours
# make conformance  runs Brian2's own tests and published examples; an hour or more
# make gpu        runs the GPU's tests and the benchmarks, and prints one table
# make benchmark  runs the benchmarks on what there is; JAX gets an environment of its own
# make braintrace  makes an environment for the library that benchmarks/rules.py compares with
#
# Each makes the environment .venv if it is not there, and reuses it as long as nothing that
# describes the project has changed. PYTHON=... names the Python to make it from.

VENV := .venv
BIN := $(VENV)/bin
JAX := .venv-jax
BRAINTRACE := .venv-braintrace
EVENTAX := .venv-eventax
NEXT := .venv-next
KERAS := .venv-keras
# Which of the extras cuda12 and cuda13 fits the machine's driver.
CUDA ?= cuda13
# Of learning, what asks Brian2 for most.
LEARNING := $(addprefix tests/learning/test_,trainer.py checkpoint.py gradients.py trained_rewiring.py)
# This one trains a model of Keras.
KERAS_NOTEBOOK := tutorials/07_conversion.ipynb
NOTEBOOKS = $(filter-out $(KERAS_NOTEBOOK),$(wildcard tutorials/*.ipynb))

.DELETE_ON_ERROR:
.PHONY: demo test test-keras test-next convert-env oracles conformance lint gpu benchmark braintrace clean

demo: $(VENV)/installed-demo
	$(BIN)/python -m brian2eprop.demo

test: lint test-keras
	$(BIN)/python -m pytest -n 2 -m "not gpu and not long"
	$(if $(NOTEBOOKS),$(BIN)/python -m pytest --nbval-lax --nbval-current-env $(NOTEBOOKS))

convert-env: $(KERAS)/installed

test-keras: $(KERAS)/installed
	KERAS_BACKEND=jax $(KERAS)/bin/python -m pytest tests/ml/test_keras.py tests/ml/test_qcfs.py
	KERAS_BACKEND=jax $(KERAS)/bin/python -m pytest --nbval-lax --nbval-current-env $(KERAS_NOTEBOOK)

test-next: $(NEXT)/installed-test
	$(NEXT)/bin/python -m pytest -n 2 -m "not gpu and not long" -k "not emulated and not reference and not compile" tests/device tests/cases $(LEARNING)

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

conformance: $(VENV)/installed-test
	$(BIN)/python -m tests.conformance.brian2_suite
	$(BIN)/python -m tests.conformance.brian2_examples

oracles: $(VENV)/installed-test $(NEXT)/installed-test $(JAX)/installed $(EVENTAX)/installed
	$(BIN)/python -m pytest -n 2 -m "not gpu" --hypothesis-profile=long
	$(NEXT)/bin/python -m pytest -n 2 -m "not gpu" --hypothesis-profile=long tests/device tests/learning tests/oracles tests/cases
	$(BIN)/python -m tests.oracles.beside_jax $(JAX)/bin/python
	$(BIN)/python -m tests.oracles.beside_eventax $(EVENTAX)/bin/python
	$(BIN)/python -m tests.oracles.random_events --systems 30
	$(BIN)/python -m tests.oracles.random_systems --systems 20 --backend cpu
	$(BIN)/python -m tests.oracles.random_systems --systems 20 --backend emulated
	$(BIN)/python -m tests.oracles.random_systems --systems 200

gpu: $(VENV)/installed-test $(VENV)/installed-$(CUDA) $(JAX)/installed
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python benchmarks/run_all.py

benchmark: $(VENV)/installed-test $(JAX)/installed
	$(BIN)/python benchmarks/run_all.py

braintrace: $(BRAINTRACE)/installed

clean:
	rm -rf $(VENV) $(JAX) $(BRAINTRACE) $(EVENTAX) $(NEXT) $(KERAS) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@tools/find-compiler
	@python=$$(tools/find-python $(PYTHON)) && \
	    echo "Making $(VENV) with $$python" && "$$python" -m venv --clear $(VENV)

$(VENV)/installed-%: setup.cfg pyproject.toml $(BIN)/python
	@echo "Installing brian2eprop[$*] into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[$*]"
	@touch $@

# Brian2 2.11 needs Python 3.13.
$(NEXT)/installed-test: setup.cfg pyproject.toml tools/find-python
	@tools/find-compiler
	@python=$$(tools/find-python --least 3.13) && \
	    echo "Making $(NEXT) with $$python" && "$$python" -m venv --clear $(NEXT)
	@echo "Installing brian2eprop[test] into $(NEXT)"
	@$(NEXT)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	@touch $@

# Neither PyTorch nor TensorFlow is needed.
$(KERAS)/installed: setup.cfg $(BIN)/python
	@echo "Installing brian2eprop[keras] and JAX into $(KERAS)"
	@$(BIN)/python -m venv --clear $(KERAS)
	@$(KERAS)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[keras,demo]" "jax >=0.8, <0.13" "hypothesis >=6.100, <7" "ipykernel >=6.29, <8" "nbval >=0.11, <0.12" "pytest >=9, <10"
	@touch $@

# What the benchmarks and oracles compare with; it is no part of the package.
$(JAX)/installed: Makefile $(BIN)/python
	@echo "Installing JAX into $(JAX)"
	@$(BIN)/python -m venv --clear $(JAX)
	@$(JAX)/bin/python -m pip install --quiet --disable-pip-version-check "jax >=0.8, <0.13" "numpy >=2, <3"
	@touch $@

# It needs a JAX of its own.
$(BRAINTRACE)/installed: Makefile $(BIN)/python
	@echo "Installing braintrace into $(BRAINTRACE)"
	@$(BIN)/python -m venv --clear $(BRAINTRACE)
	@$(BRAINTRACE)/bin/python -m pip install --quiet --disable-pip-version-check "braintrace >=0.2.6, <0.3"
	@touch $@

$(EVENTAX)/installed: Makefile $(BIN)/python
	@echo "Installing eventax into $(EVENTAX)"
	@$(BIN)/python -m venv --clear $(EVENTAX)
	@$(EVENTAX)/bin/python -m pip install --quiet --disable-pip-version-check "eventax ==0.1.0"
	@touch $@
