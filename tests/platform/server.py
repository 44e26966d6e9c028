"""A user's notebook server without its pages: files by REST, code by a kernel's websocket, with the user's own token.

For tests whose promise is not JupyterLab's page: no keystroke gets lost, and a kernel outlives the browser.
"""

from __future__ import annotations

import json
import ssl
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import websocket

READY_SECONDS = 120  # two cores may have other things to do than to start a kernel


@dataclass
class Kernel:
    """One running kernel; ``run`` may be called again after anything between test and kernel came back."""

    server: NotebookServer
    id: str

    def run(self, code: str, *, seconds: float = READY_SECONDS) -> str:
        """Execute code; what it printed. Raises AssertionError with the traceback of a failed cell.

        Asks with `silent` requests until the kernel answers: what is sent before it listens is lost.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self._channels() as channels:
                    self._execute(
                        channels, "", min(deadline, time.monotonic() + 10)
                    )  # answers, so it listens
                    return self._execute(channels, code, deadline)
            except (TimeoutError, OSError, websocket.WebSocketException) as fault:
                if time.monotonic() > deadline or isinstance(fault, Unfinished):
                    raise AssertionError(
                        f"The kernel gave no answer within {seconds:.0f} s: {fault!r}"
                    ) from fault
                time.sleep(1)

    def _channels(self) -> _Channels:
        path = f"api/kernels/{self.id}/channels"
        return _Channels(
            websocket.create_connection(
                self.server.url.replace("https:", "wss:") + path,
                header=[f"Authorization: token {self.server.token}"],
                sslopt={"context": ssl.create_default_context(cafile=str(self.server.ca_file))},
                http_no_proxy=["*"],
                timeout=10,
            )
        )

    def _execute(self, channels: _Channels, code: str, deadline: float) -> str:
        request = channels.send(code)
        printed: list[str] = []
        while True:
            try:
                message = channels.receive(deadline)
            except websocket.WebSocketTimeoutException as late:
                raise (Unfinished if code else TimeoutError)("no answer") from late
            if message.get("parent_header", {}).get("msg_id") != request:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed.append(content["text"])
            elif kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return "".join(printed)


class Unfinished(TimeoutError):
    """The code was taken and did not end in time: sending it again would run it twice."""


@dataclass
class _Channels:
    """The kernel's websocket with Jupyter's messages: https://jupyter-client.readthedocs.io/en/stable/messaging.html"""

    socket: Any
    session: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, code: str) -> str:
        """Send an `execute_request`; its message id."""
        header = {
            "msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": self.session,
            "username": "test", "version": "5.4", "date": "",
        }  # fmt: skip
        content = {
            "code": code, "silent": not code, "store_history": False, "user_expressions": {},
            "allow_stdin": False, "stop_on_error": True,
        }  # fmt: skip
        message = {
            "channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content,
        }  # fmt: skip
        self.socket.send(json.dumps(message))
        return header["msg_id"]

    def receive(self, deadline: float) -> dict[str, Any]:
        """The next message; raises WebSocketTimeoutException after the deadline (monotonic seconds)."""
        self.socket.settimeout(max(0.1, deadline - time.monotonic()))
        message: dict[str, Any] = json.loads(self.socket.recv())
        return message


@dataclass
class NotebookServer:
    """One user's server behind the hub's proxy."""

    url: str
    """with trailing slash: https://jupyter.<domain>/user/<name>/"""
    token: str
    ca_file: Path

    def kernel(self) -> Kernel:
        """A new kernel that works in ~/thinkube/notebooks; it ends with the server."""
        started = self.request("POST", "api/kernels", json={"name": "python3", "path": "thinkube/notebooks"})
        return Kernel(self, started["id"])

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Ask the server's REST API; the answer's JSON. Raises httpx.HTTPStatusError."""
        with httpx.Client(
            verify=ssl.create_default_context(cafile=str(self.ca_file)), trust_env=False, timeout=60
        ) as client:
            answer = client.request(
                method, self.url + path, headers={"Authorization": f"token {self.token}"}, **arguments
            )
            answer.raise_for_status()
            return answer.json()
