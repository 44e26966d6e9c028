"""Runs the program without an engine, and keeps what it registers.

Owns Pulumi's mocks for that, and the stack that is run: the example, `Pulumi.dev.yaml`, with a text of no meaning for
each secret, so that all parts that a secret switches on are there. Leaves alone: what is made of the registrations.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import runpy
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks
from pulumi.runtime.mocks import MockMonitor

from admin.errors import AdminError
from components.settings.reader import SECRET_KEYS

STACK = "dev"
UNUSED_SECRETS = {"tls_private_key"}
"""Secrets that the example stack does without."""
SECONDS = 60  # the program itself takes about one


@dataclass(frozen=True)
class Registration:
    """One resource as the program registers it."""

    urn: str
    type: str
    name: str
    """logical name"""
    parent: str
    """URN"""
    inputs: dict[str, Any]
    """as the engine gets them; values that the engine would have to work out are there as the mocks give them"""
    needs: frozenset[str]
    """URNs of what has to be there before"""
    kept: bool
    """stays in the cluster on destroy"""


def record(folder: Path) -> list[Registration]:
    """Run the program in `folder` and return its resources in the order of their registration.

    Raises AdminError if the program fails: its own words.
    """
    project, config, secret_keys = _example(folder)
    monitor = _Monitor()
    errors: list[BaseException] = []

    def program() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        pulumi.runtime.set_mocks(_Answers(), project, STACK, preview=False, monitor=monitor)
        pulumi.runtime.set_all_config(config, secret_keys)
        try:
            pulumi.runtime.test(lambda: runpy.run_path(str(folder / "__main__.py")))()  # type: ignore[no-untyped-call]
        except BaseException as error:
            errors.append(error)
        finally:
            loop.close()

    # All of Pulumi's settings are context variables: in a thread with a context of its own nothing is left of them.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(program,), daemon=True)
    with contextlib.chdir(folder):  # the program's paths are relative
        thread.start()
        thread.join(SECONDS)
    if thread.is_alive():
        raise AdminError(f"The program in {folder} does not end: run `pulumi preview`, and correct it.")
    if errors:
        raise AdminError(f"The program in {folder} fails with Pulumi.{STACK}.yaml: {errors[0]}") from errors[
            0
        ]
    return monitor.registrations


def _example(folder: Path) -> tuple[str, dict[str, str], list[str]]:
    """The project's name, and the example stack's configuration as the engine hands it over, with secret keys."""
    project = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
    stack = yaml.safe_load((folder / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8"))["config"]
    config = {key: value if isinstance(value, str) else json.dumps(value) for key, value in stack.items()}
    config[f"{project}:preflight"] = "false"
    secrets = [f"{project}:{secret.key}" for secret in SECRET_KEYS if secret.key not in UNUSED_SECRETS]
    return project, config | dict.fromkeys(secrets, "not-a-secret"), secrets


class _Answers(Mocks):
    """What providers would add to a resource's inputs, as far as the program looks at it."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        state = dict(args.inputs)
        if "metadata" in state:
            state["metadata"] = {"name": f"{args.name}-", **state["metadata"], "uid": "a-uid"}
        if args.typ == "docker:index/image:Image":
            state["repoDigest"] = f"{state['imageName']}@sha256:{'0' * 64}"
        if args.typ == "keycloak:openid/client:Client":
            state["clientSecret"] = "not-a-secret"
        if args.typ == "kubernetes:helm.sh/v3:Release":
            state["status"] = {"status": "deployed"}
        return f"{args.name}-id", state

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {**args.args, "id": "found"}, []


class _Monitor(MockMonitor):
    def __init__(self) -> None:
        super().__init__(_Answers())
        self.registrations: list[Registration] = []

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        needs = set(request.dependencies)
        for found in request.propertyDependencies.values():
            needs |= set(found.urns)
        self.registrations.append(
            Registration(
                urn=answer.urn,
                type=request.type,
                name=request.name,
                parent=request.parent,
                inputs=_plain(pulumi.runtime.rpc.deserialize_properties(request.object)),
                needs=frozenset(needs),
                kept=request.retainOnDelete,
            )
        )
        return answer


def _plain(value: Any) -> Any:
    """Without the wrappers that mark secrets: what is drawn are names."""
    if pulumi.runtime.rpc.is_rpc_secret(value):
        return _plain(pulumi.runtime.rpc.unwrap_rpc_secret(value))
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
