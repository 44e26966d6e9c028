"""Writes docs/configuration.md from Pulumi.yaml and the models: `python -m components.settings.reference > ...`.

Owns the page's layout. What it says is said in Pulumi.yaml and the models; a test keeps page and code in step.
"""

from __future__ import annotations

import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from components.settings.models import Settings
from components.settings.reader import SECRET_KEYS

INTRODUCTION = """\
# Configuration

Made from `Pulumi.yaml` and `components/settings/` by `python -m components.settings.reference`; do not edit.

All keys are of the project `thinkube-jupyterhub`. Set a flat one with `pulumi config set domain_name example.org`, one
inside an object with `pulumi config set --path identity.realm staff`, a secret with `pulumi config set --secret KEY`.
Unknown keys, wrong types and missing secrets fail `pulumi preview` before anything is touched, with the key and the
remedy. What an object does not say has the default below. `pulumi config set kubernetes:context NAME` picks the
cluster; without it the current context of the kubeconfig is used.
"""


def page(project: dict[str, Any]) -> str:
    """Return the page; `project` is the content of Pulumi.yaml."""
    declared = project["config"]
    secrets = {secret.key: secret for secret in SECRET_KEYS}
    lines = [INTRODUCTION, "## Keys\n", "| key | type | default | what it is |", "| --- | --- | --- | --- |"]
    for key, entry in declared.items():
        kind = "secret" if key in secrets else entry["type"]
        if kind != "object":
            lines.append(f"| `{key}` | {kind} | {_code(entry['default'])} | {_cell(entry['description'])} |")
    for key, entry in declared.items():
        if entry.get("type") == "object":
            lines += [f"\n## `{key}`\n", entry["description"].partition(":")[0] + ".\n"]
            lines += ["| key | type | default | what it is |", "| --- | --- | --- | --- |"]
            lines += _rows(key, Settings.model_fields[key].get_default(call_default_factory=True))
    return "\n".join(lines) + "\n"


def _rows(prefix: str, section: BaseModel | type[BaseModel]) -> list[str]:
    """Rows of one object: `section` holds its defaults, or is only a type where it has none as a whole."""
    rows = []
    model = section if isinstance(section, type) else type(section)
    for name, info in model.model_fields.items():
        key = f"{prefix}.{info.alias or name}"
        if isinstance(section, type):
            value = None if info.is_required() else info.get_default(call_default_factory=True)
            default = "required" if info.is_required() else ""
        else:
            value, default = getattr(section, name), ""
        inner, many = _inner(info.annotation)
        if inner is None or not isinstance(value, BaseModel):
            kind = _type(info.annotation) if inner is None else "list" if many else "object"
            rows.append(f"| `{key}` | {kind} | {default or _code(value)} | {_cell(info.description or '')} |")
        if inner is not None:
            rows += _rows(f"{key}[]" if many else key, value if isinstance(value, BaseModel) else inner)
    return rows


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The model inside an annotation, and whether it is a list of them."""
    options = [annotation, *typing.get_args(annotation)]
    models = [item for item in options if isinstance(item, type) and issubclass(item, BaseModel)]
    return (models[0] if models else None), typing.get_origin(annotation) is list


def _type(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in typing.get_args(annotation) if value)
    if origin is types.UnionType:
        return " or ".join(_type(item) for item in typing.get_args(annotation))
    names = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", dict: "map"}
    return names.get(origin or annotation, "string")


def _code(value: Any) -> str:
    if isinstance(value, list):
        value = [item.model_dump(by_alias=True) if isinstance(item, BaseModel) else item for item in value]
    if value is None:
        return "not set"
    return f"`{_cell(value if isinstance(value, str) and value else json.dumps(value))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page(yaml.safe_load(Path("Pulumi.yaml").read_text(encoding="utf-8"))))
