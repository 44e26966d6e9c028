"""Runs the Pulumi CLI for a report: the preview, and the stack's secrets so that none of them is shown.

Owns which commands are run and how their output is read; how the CLI is called is `admin.stack`'s. Changes nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from admin.errors import AdminError
from admin.review.model import Preview, failure, read_preview
from admin.review.secrecy import Scrubber
from admin.stack import PulumiStack
from components.settings.reader import SECRET_KEYS

_PULUMI_SECRETS = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN")
SHORTEST_OF_OBJECT = 8
"""Characters. A secret object's shorter texts (names, numbers) are masked by their place only."""


def preview(stack: PulumiStack, timeout: float = 900) -> Preview:
    """Run `pulumi preview --json`; one that fails is a Preview with errors. Raises AdminError without a CLI."""
    scrubber = Scrubber(known_secrets(stack))
    # one document, not a stream of the engine's events
    done = stack.attempt(
        ["preview", "--json"], timeout=timeout, env={"PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "false"}
    )
    try:
        found = read_preview(parse(done.stdout), stack.name, scrubber)
    except ValueError:
        return failure(stack.name, done.stderr.strip() or done.stdout.strip()[:2000], scrubber)
    if done.returncode != 0 and not found.failed:
        return failure(stack.name, done.stderr, scrubber)
    return found


def known_secrets(stack: PulumiStack) -> set[str]:
    """Return the plain values of the stack's secrets, from its configuration and the environment.

    They leave this process in no way: they are what the report is searched for. Without a CLI or a passphrase the set
    is that of the environment; a preview then fails by itself.
    """
    variables = [secret.environment for secret in SECRET_KEYS if secret.environment]
    found = {os.environ.get(name, "") for name in (*variables, *_PULUMI_SECRETS)}
    try:
        done = stack.attempt(["config", "--show-secrets", "--json"], timeout=120)
    except AdminError:
        return found - {""}
    if done.returncode == 0:
        config: dict[str, Any] = json.loads(done.stdout)
        declared = {f"{stack.project}:{secret.key}" for secret in SECRET_KEYS}
        for key, entry in config.items():
            if entry.get("secret") or key in declared:
                found |= set(_texts(entry.get("value", "")))
    return found - {""}


def parse(text: str) -> dict[str, Any]:
    """Return the JSON document in the CLI's output. Raises ValueError if there is none.

    Lines of people's text may stand before it (a plugin's first download).
    """
    start = text.find("{")
    if start < 0:
        raise ValueError("no JSON in the output of pulumi preview")
    document, _ = json.JSONDecoder().raw_decode(text[start:])
    if not isinstance(document, dict) or not {"steps", "diagnostics", "changeSummary"} & set(document):
        raise ValueError("the output of pulumi preview is no preview")
    return document


def _texts(value: str) -> Iterator[str]:
    """A secret's text; of an object (the CLI gives it as JSON) the longer texts in it too."""
    yield value
    try:
        inner = json.loads(value)
    except ValueError:
        return
    yield from _leaves(inner)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, str) and len(value) >= SHORTEST_OF_OBJECT:
        yield value
