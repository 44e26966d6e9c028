"""Lines for the person at the command line, sent through the engine: progress under the resource that
works.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import grpc  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


class EngineLog:
    """The engine's log service, at the address that it gave to this process. Never raises: a lost line is
    no failure.
    """

    def __init__(self) -> None:
        self._stub: Any = None

    def status(self, urn: str, text: str) -> None:
        """A passing line beside the resource (a build's output); the next one replaces it."""
        self._send(urn, text, ephemeral=True)

    def _send(self, urn: str, text: str, *, ephemeral: bool) -> None:
        address = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), "")
        if not address:
            return
        with contextlib.suppress(grpc.RpcError):
            if self._stub is None:
                self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))
            self._stub.Log(
                engine_pb2.LogRequest(severity=engine_pb2.INFO, message=text, urn=urn, ephemeral=ephemeral)
            )
