"""Runs the program, or a part of it, on mocks that remember what it asked the engine for."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]
import pulumi
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks, rpc
from pulumi.runtime.mocks import MockMonitor

PROJECT = "thinkube-jupyterhub"
STACK = "unit"
DIGEST = f"sha256:{'d' * 64}"


EXISTING: dict[str, dict[str, Any]] = {
    "keycloak:index/getRealm:getRealm": {},
    "keycloak:index/getGroup:getGroup": {},
    "keycloak:openid/getClient:getClient": {
        "accessType": "CONFIDENTIAL",
        "enabled": True,
        "standardFlowEnabled": True,
        "validRedirectUris": ["https://jupyter.example.org/*"],
        "pkceCodeChallengeMethod": "",
        "clientSecret": "existing-client-0123456789",
    },
    "keycloak:index/getGenericProtocolMapper:getGenericProtocolMapper": {
        "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "groups", "full.path": "true", "userinfo.token.claim": "true"},
    },
}


class NotThere(grpc.RpcError):  # type: ignore[misc]
    """How the engine tells that a look-up found nothing: the reason is not in the first line."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "invoking a look-up: 1 error occurred:\n\t* it does not exist\n\n"


@dataclass
class Recorder(Mocks):
    """Answers as the providers would, as far as the program looks at the answers."""

    resources: list[MockResourceArgs] = field(default_factory=list)
    requests: dict[str, Any] = field(default_factory=dict)
    """registration by "type name": parent, retainOnDelete, protect, dependencies"""
    existing: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(EXISTING))
    """answers to look-ups by function"""
    outputs: dict[str, Any] = field(default_factory=dict)
    """what the program exports"""

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        """Record one resource; its outputs are its inputs and what providers add."""
        self.resources.append(args)
        state = dict(args.inputs)
        if args.resource_id:  # looked up, not made
            namespace, _, found = args.resource_id.rpartition("/")
            return args.resource_id, {**state, "metadata": {"namespace": namespace, "name": found}}
        if args.typ.startswith("kubernetes:") and "metadata" in state:
            metadata = dict(state["metadata"])
            metadata.setdefault("name", f"{args.name}-0000")
            state["metadata"] = {**metadata, "uid": f"uid-of-{args.name}"}
        if args.typ == "keycloak:openid/client:Client":
            state["clientSecret"] = "made-by-keycloak-0123456789abcdef"
        if args.typ == "docker:index/image:Image":
            state["repoDigest"] = f"{str(state['imageName']).rpartition(':')[0]}@{DIGEST}"
        if args.typ == "kubernetes:helm.sh/v3:Release":
            state["status"] = {"status": "deployed"}
        return f"{args.name}-id", state

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        """Answer the look-ups in Keycloak: what is found is in `existing`."""
        if args.token not in self.existing:
            raise NotThere
        return {**args.args, "id": "found", **self.existing[args.token]}, []

    def types(self) -> dict[str, list[str]]:
        """Logical names by type token."""
        found: dict[str, list[str]] = {}
        for item in self.resources:
            found.setdefault(item.typ, []).append(item.name)
        return found

    def inputs(self, typ: str, name: str | None = None) -> Any:
        """Inputs of the only resource of that type (and logical name), secrets unwrapped."""
        found = [item for item in self.resources if item.typ == typ and name in (None, item.name)]
        assert len(found) == 1, f"{typ} {name}: {self.types().get(typ)}"
        return plain(found[0].inputs)

    def provider(self, typ: str, name: str) -> str:
        """Logical name of the provider that a resource goes through."""
        (found,) = [item for item in self.resources if item.typ == typ and item.name == name]
        return str(found.provider).partition("::")[2].split("::")[2]

    def request(self, typ: str, name: str) -> Any:
        """Registration of one resource."""
        return self.requests[f"{typ} {name}"]


class _Monitor(MockMonitor):
    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.recorder = recorder

    def RegisterResource(self, request: Any) -> Any:
        self.recorder.requests[f"{request.type} {request.name}"] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]


def plain(value: Any) -> Any:
    """A recorded value without the wrappers that mark secrets."""
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return plain(value.get("value"))
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def stack_config(values: Mapping[str, Any], secrets: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Config values as the engine hands them over (objects as JSON), and the keys of those that are encrypted."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    full = {key if ":" in key else f"{PROJECT}:{key}": value for key, value in {**texts, **secrets}.items()}
    return full, [f"{PROJECT}:{key}" for key in secrets]


def run(function: Callable[[], Any], config: Mapping[str, str], secret_keys: list[str]) -> Recorder:
    """Run `function` as a Pulumi program on mocks; raise what it raises.

    In a thread with a context of its own: all of Pulumi's settings live in context variables, so nothing is left
    of them afterwards.
    """
    recorder = Recorder()
    errors: list[BaseException] = []

    def and_exports() -> None:
        function()
        root = pulumi.runtime.get_root_resource()
        exports = pulumi.Output.from_input(dict(getattr(root, "outputs", {})))
        exports.apply(recorder.outputs.update)  # awaited with all else, after the program's last line

    def program() -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        pulumi.runtime.set_mocks(recorder, PROJECT, STACK, preview=False, monitor=_Monitor(recorder))
        pulumi.runtime.set_all_config(dict(config), secret_keys)
        try:
            pulumi.runtime.test(and_exports)()  # type: ignore[no-untyped-call]
        except BaseException as error:
            errors.append(error)
        finally:
            loop.close()

    thread = threading.Thread(target=contextvars.copy_context().run, args=(program,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive(), "the program hangs"
    if errors:
        raise errors[0]
    return recorder
