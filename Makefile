# Every target is one line to a script or module; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help up down status preview verify review test test-unit check

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

up: ## set up all that is needed and bring JupyterHub up on this machine
	@scripts/run python -m local up

down: ## remove the stack and the platform; DATA=delete removes users' files too
	@scripts/run python -m local down $(if $(filter delete,$(DATA)),--delete-data)

status: ## what runs, healthy or not, and where its log is
	@scripts/run python -m local status

preview: ## what `pulumi up` would change on this machine
	@scripts/run python -m local preview

# the admin's commands: the embedded platform's stack has its surroundings made for it, any other uses yours
# (pulumi login, kubeconfig)
STACK ?= local
ADMIN = $(if $(filter local,$(STACK)),python -m local exec --) python -m admin

verify: ## prove that a deploy works: STACK=name (default: local), ARGS=--json
	@scripts/run $(ADMIN) verify --stack $(STACK) $(ARGS)

review: ## what an update would change, as Markdown for a pull request: STACK=name (default: local), ARGS='--output FILE'
	@scripts/run $(ADMIN) review --stack $(STACK) $(ARGS)

test: ## all tests: unit, engine, machine, platform
	@scripts/run pytest $(ARGS)

test-unit: ## the tests that need nothing but Python
	@scripts/run pytest tests/unit $(ARGS)

check: ## ruff, mypy strict, shellcheck, hadolint, actionlint
	@scripts/run scripts/check
