"""One question to a service over HTTP, and the wording of what can go wrong with it."""

from __future__ import annotations

import ssl
from typing import Any

import httpx

from admin.verify.context import Context
from admin.verify.model import Failed


def ask(context: Context, method: str, url: str, where: str, **arguments: Any) -> httpx.Response:
    """The answer, of whatever status. Raises Failed, naming `where`, if there is none."""
    try:
        return context.http.request(method, url, **arguments)
    except httpx.TimeoutException as late:
        raise Failed(
            f"{where} does not answer in time.", "See that it runs and is reachable from here."
        ) from late
    except httpx.RequestError as error:
        cause = untrusted(error)
        if cause:
            raise Failed(
                f"The certificate of {where} is not trusted: {cause}.",
                "Renew it, or set identity.caBundle to the CA that signed it.",
            ) from error
        raise Failed(
            f"{where} cannot be reached: {error}.", "See that it runs and is reachable from here."
        ) from error


def json_of(response: httpx.Response, where: str) -> Any:
    """The JSON of a good answer. Raises Failed for any other status, and for what is no JSON."""
    if response.status_code != 200:
        raise Failed(
            f"{where} answers HTTP {response.status_code} to {response.request.method} {response.request.url.path}.",
            "See its log.",
        )
    try:
        return response.json()
    except ValueError as error:
        raise Failed(
            f"{where} answers {response.request.url.path} with something else than JSON.",
            "See that the address leads to it.",
        ) from error


def untrusted(error: BaseException | None) -> str:
    """Why a certificate was refused, if that is what happened; else ""."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if (
            "CERTIFICATE_VERIFY_FAILED" in str(error)
            and error.__cause__ is None
            and error.__context__ is None
        ):
            return str(error)
        error = error.__cause__ or error.__context__
    return ""
