"""Previews of `pulumi preview --json`: recorded ones (previews/, from the engine on the stand-ins) and single steps."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from admin.review.model import Preview, read_preview
from admin.review.secrecy import Scrubber

PREVIEWS = Path(__file__).parent / "previews"
COMPONENTS = {
    "storage": "thinkube:storage:SeaweedVolumes",
    "hub": "thinkube:hub:JupyterHub",
    "identity": "thinkube:identity:HubIdentity",
    "images": "thinkube:images:NotebookImages",
}


def document(name: str) -> dict[str, Any]:
    """One of the recorded previews."""
    content: dict[str, Any] = json.loads((PREVIEWS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def recorded(name: str, secrets: Iterable[str] = ()) -> Preview:
    return read_preview(document(name), "dev", Scrubber(secrets))


def preview_of(*steps: dict[str, Any], diagnostics: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    return {"steps": list(steps), "diagnostics": list(diagnostics), "changeSummary": {}}


def step(
    op: str,
    kind: str,
    name: str = "thing",
    *,
    component: str = "hub",
    old: Any = None,
    new: Any = None,
    diff: Iterable[str] = (),
    replaces: Iterable[str] = (),
    retained: bool = False,
) -> dict[str, Any]:
    """One step as the engine writes it, with inputs before and after."""
    urn = f"urn:pulumi:dev::thinkube-jupyterhub::{COMPONENTS[component]}${kind}::{name}"
    made: dict[str, Any] = {
        "op": op,
        "urn": urn,
        "detailedDiff": {path: {"kind": "update", "inputDiff": False} for path in diff} or None,
        "replaceReasons": list(replaces),
    }
    if old is not None:
        made["oldState"] = {"urn": urn, "type": kind, "inputs": old, "retainOnDelete": retained}
    if new is not None:
        made["newState"] = {"urn": urn, "type": kind, "inputs": new, "retainOnDelete": retained}
    return made


def read(*steps: dict[str, Any], secrets: Iterable[str] = ()) -> Preview:
    return read_preview(preview_of(*steps), "dev", Scrubber(secrets))
