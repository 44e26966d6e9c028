"""Reads what the chart mounted into the hub: Helm values, generated secrets, names of objects.

Importable by jupyterhub_config.py, files of jupyterhub_config.d and hub.extraConfig. Sets nothing by itself.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent
"""/usr/local/etc/jupyterhub: everything is mounted beside this file"""
_REQUIRED = "required, so that None can be a default"


@lru_cache
def _values() -> dict[str, Any]:
    """All Helm values, with `Chart` and `Release`, as they were at the hub's start."""
    values = yaml.safe_load((ROOT / "secret" / "values.yaml").read_text())
    if not isinstance(values, dict):
        raise TypeError(f"{ROOT}/secret/values.yaml holds no mapping: Secret `hub` is not the chart's.")
    return values


def get_config(key: str, default: Any = None) -> Any:
    """The value at a dotted path: `get_config("a.b")` is values["a"]["b"].

    `default` only where a part of the path is missing; a value that is set to null is None.
    """
    value: Any = _values()
    for level in key.split("."):
        if not isinstance(value, dict) or level not in value:
            return default
        value = value[level]
    return value


def set_config_if_not_none(section: Any, trait: str, key: str) -> None:
    """Set a trait of a config section (`c.KubeSpawner`) to the value at `key`, unless null."""
    value = get_config(key)
    if value is not None:
        setattr(section, trait, value)


@lru_cache
def get_secret_value(key: str, default: str | None = _REQUIRED) -> str | None:
    """A generated secret by its key in Secret `hub`. LookupError where missing without default."""
    path = ROOT / "secret" / key
    if path.is_file():
        return path.read_text()
    if default == _REQUIRED:
        raise LookupError(f"{key} is not in Secret `hub`, which the chart wrote: upgrade the release again.")
    return default


@lru_cache
def get_name(name: str) -> str:
    """Name of an object of the release by its short name, as `proxy-public`. LookupError for others."""
    path = ROOT / "config" / name
    if not path.is_file():
        raise LookupError(
            f"{name} is not among the names in ConfigMap `hub`: the chart makes no such object."
        )
    return path.read_text()


def get_name_env(name: str, suffix: str = "") -> str:
    """What Kubernetes gives every container about a Service: `get_name_env("hub", "_SERVICE_PORT")`."""
    return os.environ[(get_name(name) + suffix).upper().replace("-", "_")]
