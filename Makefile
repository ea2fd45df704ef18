# The one command surface: people and CI call these and nothing else.
# ARGS is passed on: make test ARGS="tests/unit -k spec", make run ARGS="--port 9000".

ARGS ?=
# Two processes share the tests, each file whole; PROCESSES= runs them in one.
PROCESSES ?= -n 2 --no-loadscope-reorder
PY := .venv/bin/python
# Translations are compiled by Babel, so that a machine without GNU gettext can run the portal.
CATALOGUES := $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/*.po))
# Settings of a server on the internet, for Django's own list of what is unsafe.
DEPLOYED := GRAFT_DEBUG=0 GRAFT_HTTPS=1 GRAFT_HOSTS=portal.example.org \
	GRAFT_SECRET_KEY=only-for-this-check-9f2c7d41b8e35a60fd17c4928be03d5a76e1cc02

.PHONY: help run test check bench experiments demo-data messages parity format pins \
	venv venv-dev catalogues
.DEFAULT_GOAL := help

help: ## say what each target does
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
		printf '  make %-12s %s\n' "$$target" "$$text"; done

run: venv catalogues ## start the portal with everything it needs, and print a sign-in link
	@$(PY) manage.py portal $(ARGS)

test: venv-dev catalogues ## run all tests, with a real broker and real TensorFlow
	$(PY) -m pytest $(PROCESSES) $(ARGS)

check: venv-dev catalogues ## lint, formatting, types, migrations, deployment settings
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) manage.py makemigrations --check --dry-run
	$(DEPLOYED) $(PY) manage.py check --deploy --fail-level WARNING

bench: venv-dev ## measure speed against the peers
	$(PY) -m benchmarks $(ARGS)

# Without a name it runs all of them, and so needs PyPI, npm and makes .venv-parity-vision.
experiments: venv-dev ## run again what the numbers in docs/ rest on
	$(PY) -m benchmarks.experiments $(ARGS)

demo-data: venv catalogues ## load the sample data sets and queue the sample transfer
	$(PY) manage.py demo_data $(ARGS)

messages: venv-dev ## collect the interface's texts into locale/ (needs GNU gettext), and compile
	@command -v xgettext >/dev/null || { \
		echo "GNU gettext is missing. On Debian: apt-get install gettext" >&2; exit 1; }
	$(PY) manage.py makemessages --locale zh_Hans --no-wrap --add-location file \
		--ignore 'tests/*' --ignore 'benchmarks/*' --ignore 'var/*' --ignore '.venv*'
	$(PY) manage.py makemessages --domain djangojs --locale zh_Hans --no-wrap --add-location file \
		--ignore 'webapp/static/vendor/*' --ignore 'tests/*' --ignore 'var/*' --ignore '.venv*'
	@$(MAKE) --no-print-directory catalogues

# Options are about folders with a text model; the images then stay as they are.
parity: ## write the PyTorch reference files under tests/parity/ anew
	@scripts/venv.sh parity
	.venv-parity/bin/python -m tests.parity.make $(ARGS)
	$(if $(ARGS),,.venv-parity/bin/python -m tests.parity.make_entities)
	@scripts/venv.sh parity-vision
	$(if $(ARGS),,.venv-parity-vision/bin/python -m tests.parity.make_images)

format: venv-dev ## format the code and mend what the linter can
	$(PY) -m ruff check --fix-only .
	$(PY) -m ruff format .

# Existing pins stay unless asked: make pins ARGS=--upgrade, or ARGS="--upgrade-package django".
COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header \
	--no-emit-index-url --no-emit-find-links
pins: venv-dev ## compile the .in files into exact pins
	$(COMPILE) requirements.in -o requirements.txt $(ARGS)
	$(COMPILE) requirements-dev.in -o requirements-dev.txt $(ARGS)
	@for set in parity parity-vision; do \
		{ echo "# Compiled by 'make pins' from requirements-$$set.in. Packages of CUDA and triton are left out on"; \
			echo '# purpose: pip adds those that the torch wheel at hand asks for, and a CPU wheel asks for none.'; \
			$(COMPILE) --no-annotate -c requirements.txt requirements-$$set.in \
				| grep -vE '^(cuda-|nvidia-|triton)'; } > requirements-$$set.txt.new && \
		mv requirements-$$set.txt.new requirements-$$set.txt || exit 1; done

# Asked each time, and done in milliseconds while the pins have not changed.
venv:
	@PYTHON="$(PYTHON)" scripts/venv.sh runtime

venv-dev:
	@PYTHON="$(PYTHON)" scripts/venv.sh dev

catalogues: $(CATALOGUES)

%.mo: %.po | venv
	@.venv/bin/pybabel --quiet compile --input-file $< --output-file $@
