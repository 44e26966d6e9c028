"""The examples' repositories are there, each with its branch or tag: what `git ls-remote` over HTTPS would ask.

Owns the reading of the answer (https://git-scm.com/docs/http-protocol, "Smart Clients"). Leaves alone: the fetch
itself, which pods of the cluster do (examples-sync/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from components.preflight.missing import Check, Missing, unreachable
from components.preflight.web import LIMIT, Answer, Deadline, Unanswered, ask, basic, trust
from components.settings.examples import Repository

SERVICE = "Examples repository"
_KEY = "examples.repositories"
_ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
_LINE = re.compile(rb"[0-9a-f]{40,64} (refs/[^\0\n]+)")


def git_check(repository: Repository, token: str, ca_bundle: str) -> Check:
    """The check of one repository; `token` is for private ones, `ca_bundle` is trusted beside the system's CAs."""
    url = f"{repository.url}/info/refs?service=git-upload-pack"
    return Check(
        SERVICE, url, f"{_KEY}[].url", lambda deadline: _look(repository, url, token, ca_bundle, deadline)
    )


def _look(repository: Repository, url: str, token: str, ca_bundle: str, deadline: Deadline) -> list[Missing]:
    headers = {"User-Agent": "git/2"}  # some servers speak the protocol to git alone
    if repository.private:
        headers |= basic(repository.username, token)
    try:
        answer = ask(url, deadline, context=trust(ca_bundle), headers=headers)
    except Unanswered as error:
        remedy = "put the CA that signed it into the config key examples.caBundle"
        return [unreachable(SERVICE, url, f"{_KEY}[].url", error, remedy)]
    cause, remedy = _fault(repository, answer)
    return [Missing(SERVICE, cause, f"GET {url}", remedy)] if cause else []


def _fault(repository: Repository, answer: Answer) -> tuple[str, str]:
    """(cause, remedy) of an answer that is not the one hoped for; empty if it is."""
    url_key = f"correct the config key {_KEY}[].url"
    if answer.status in (401, 403):
        if repository.private:
            return (
                f"it refuses the login of {repository.username}",
                "correct the config keys examples_token (or EXAMPLES_TOKEN) and examples.repositories[].username",
            )
        return (
            "it is not there, or wants a login",
            f"correct the config key {_KEY}[].url, or set private there and examples_token",
        )
    if answer.status == 404:
        return "there is no such repository", url_key
    if answer.status != 200:
        return f"it answers HTTP {answer.status}", f"see that the git server is up, or {url_key}"
    if answer.headers.get("content-type") != _ADVERTISEMENT:
        return "what answers is no git repository over HTTPS", url_key
    wanted = {f"refs/heads/{repository.ref}", f"refs/tags/{repository.ref}"}
    # of a list that was cut off, nothing can be said
    if len(answer.body) < LIMIT and not wanted & set(_references(answer.body)):
        return f"it has no branch or tag {repository.ref}", f"correct the config key {_KEY}[].ref"
    return "", ""


def _references(advertisement: bytes) -> Iterator[str]:
    for found in _LINE.finditer(advertisement):
        yield found[1].decode(errors="replace")
