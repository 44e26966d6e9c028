"""Serves a provider to the engine so that its errors reach people as plain sentences.

The SDK's servicer answers every exception with a traceback; a refusal (``ProviderError``) is no defect and is told
without one. Adds what the SDK lacks: the error that saves a resource which was made but did not become ready.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]
from pulumi.provider.experimental import provider as sdk
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import Provider
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from local.providers.values import Properties


def resource_type(urn: str) -> str:
    """The type token in a URN, without those of its parents:
    ``urn:pulumi:stack::project::parent$type::name``.
    """
    return urn.split("::")[2].rpartition("$")[2]


# The SDK's own takes the parents' types along, so that no resource inside a component would be known by its type.
sdk._extract_type = resource_type


class ProviderError(Exception):
    """A refusal or failure whose text is meant for the person at the command line."""


class InitFailed(ProviderError):
    """The resource exists now but is not what it should be: the engine stores ``properties`` and tries
    again next time.
    """

    def __init__(self, text: str, resource_id: str, properties: Properties) -> None:
        super().__init__(text)
        self.resource_id = resource_id
        self.properties = properties


def _plain(name: str) -> Callable[[ProviderServicer, Any, Any], Awaitable[Any]]:
    original = getattr(ProviderServicer, name)

    async def answer(self: ProviderServicer, request: Any, context: Any) -> Any:
        try:
            return await original(self, request, context)
        except Exception as failure:
            # the SDK has wrapped it, its own traceback in the text
            cause = failure.__context__
            if not isinstance(cause, ProviderError):
                raise
        details = (("grpc-status-details-bin", _details(cause)),) if isinstance(cause, InitFailed) else ()
        await context.abort(grpc.StatusCode.UNKNOWN, str(cause), details)
        return None  # abort raises

    return answer


def _details(failure: InitFailed) -> bytes:
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(failure))
    status.details.add().Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=failure.resource_id,
            properties=PropertyValue.marshal_map(failure.properties),
            reasons=[str(failure)],
        )
    )
    return bytes(status.SerializeToString())


class Servicer(ProviderServicer):
    """The SDK's servicer with plain errors."""


for _name in (
    "CheckConfig",
    "DiffConfig",
    "Configure",
    "Check",
    "Diff",
    "Create",
    "Read",
    "Update",
    "Delete",
    "Invoke",
):
    setattr(Servicer, _name, _plain(_name))


def main(provider: Provider, version: str) -> None:
    """Serve on a free loopback port, written to standard output as the engine expects; until the engine
    ends the process.
    """

    async def serve() -> None:
        server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
        engine = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
        servicer = Servicer(sys.argv[1:], version, provider, engine_address=engine)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(port, flush=True)
        await server.wait_for_termination()

    # The engine ends its plugins one after the other when all is done: an orderly way out would only take time.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    asyncio.run(serve())
