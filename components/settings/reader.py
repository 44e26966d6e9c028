"""The one reader of the stack configuration: Pulumi config in, typed settings or one error out.

Owns which keys are secrets, the environment variables that may stand in for them, and the wording of errors
(config key, fault, remedy). Leaves the rules for plain values to the models. A secret's value never becomes
part of a model or of a message.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime import config as runtime_config
from pydantic import BaseModel, ValidationError

from components.settings.models import Section, Settings
from components.settings.types import is_label


@dataclass(frozen=True)
class SecretKey:
    """A secret of the stack: its config key, the environment variable that may stand in for it, whether all need it."""

    key: str
    environment: str | None = None
    required: bool = False


SECRET_KEYS = (
    SecretKey("harbor_robot_token", "HARBOR_ROBOT_TOKEN", required=True),
    SecretKey("keycloak_admin_password", "KEYCLOAK_ADMIN_PASSWORD", required=True),
    SecretKey("thinkube_control_token"),
    SecretKey("examples_token", "EXAMPLES_TOKEN"),
    SecretKey("tls_private_key"),
)


@dataclass(frozen=True)
class Secrets:
    """Secrets of the stack, each a secret Output; None where the stack does without."""

    harbor_robot_token: pulumi.Output[str]
    keycloak_admin_password: pulumi.Output[str]
    thinkube_control_token: pulumi.Output[str] | None
    examples_token: pulumi.Output[str] | None
    tls_private_key: pulumi.Output[str] | None


def load_settings(config: pulumi.Config) -> Settings:
    """Return the validated plain settings of the running program's stack; raises as `settings_from`."""
    values = _stack_values(config.name)
    encrypted = {key for key in values if runtime_config.is_config_secret(f"{config.name}:{key}")}
    return settings_from(pulumi.get_stack(), values, encrypted)


def settings_from(stack: str, raw_values: Mapping[str, str], encrypted_keys: Set[str]) -> Settings:
    """Return the validated plain settings: `raw_values` as text (objects as JSON) by key without the project's name.

    Raises pulumi.RunError, one line per fault, each with the config key and what to do.
    """
    problems: list[str] = []
    if not is_label(stack):
        problems.append(
            f"stack {stack}: its name becomes part of volume names, and must be a DNS label (lower-case letters, "
            "digits and '-'); run `pulumi stack rename NAME`"
        )
    values: dict[str, Any] = {}
    secret_keys = {secret.key for secret in SECRET_KEYS}
    known = [*Settings.model_fields, *secret_keys]
    for key, raw in sorted(raw_values.items()):
        encrypted = key in encrypted_keys
        if key in secret_keys:
            if raw and not encrypted:
                problems.append(
                    f"config key {key}: the secret is stored in clear; replace it at its source, "
                    f"then run `pulumi config set --secret {key}`"
                )
        elif key not in Settings.model_fields:
            problems.append(
                f"config key {key}: unknown key{_meant(key, known)}; run `pulumi config rm {key}`"
            )
        elif encrypted:
            problems.append(
                f"config key {key}: it holds a secret, and would become plain; "
                f"secrets belong in {', '.join(sorted(secret_keys))}"
            )
        elif is_object(key):
            try:
                values[key] = json.loads(raw) if raw else {}
            except json.JSONDecodeError:
                problems.append(
                    f"config key {key}: must be an object, not text; "
                    f"run `pulumi config rm {key}`, then `pulumi config set --path '{key}.KEY' VALUE`"
                )
        elif raw != "":  # "" is "not set": the default of a key that has none
            values[key] = raw
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [_sentence(dict(fault)) for fault in error.errors(include_url=False)]
    if settings is None or problems:
        raise _wrong(problems)
    return settings


def load_secrets(config: pulumi.Config, settings: Settings) -> Secrets:
    """Return the secrets as secret Outputs, from the stack or from the environment.

    Raises pulumi.RunError naming each one that is missing, with its key and its environment variable.
    """
    found = {secret.key: _secret(config, secret) for secret in SECRET_KEYS}
    private = any(repository.private for repository in settings.examples.repositories)
    problems = [
        f"config key {secret.key}: missing secret; run `pulumi config set --secret {secret.key}` "
        f"or set the environment variable {secret.environment}"
        for secret in SECRET_KEYS
        if found[secret.key] is None and (secret.required or (private and secret.key == "examples_token"))
    ]
    if settings.tls_certificate and found["tls_private_key"] is None:
        problems.append(
            "config key tls_private_key: missing secret, tls_certificate needs it; "
            "run `pulumi config set --secret tls_private_key < key.pem`"
        )
    if not settings.tls_certificate and found["tls_private_key"] is not None:
        problems.append(
            "config key tls_certificate: missing, tls_private_key needs it; "
            "run `pulumi config set tls_certificate < cert.pem`"
        )
    token, password = found["harbor_robot_token"], found["keycloak_admin_password"]
    if problems or token is None or password is None:
        raise _wrong(problems)
    return Secrets(
        harbor_robot_token=token,
        keycloak_admin_password=password,
        thinkube_control_token=found["thinkube_control_token"],
        examples_token=found["examples_token"] if private else None,
        tls_private_key=found["tls_private_key"],
    )


def _wrong(problems: list[str]) -> pulumi.RunError:
    return pulumi.RunError(
        "wrong stack configuration\n" + "\n".join(f"  - {problem}" for problem in problems)
    )


def is_object(key: str) -> bool:
    """True if the flat key `key` holds an object."""
    annotation = Settings.model_fields[key].annotation
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _stack_values(project: str) -> dict[str, str]:
    """All values of the project. pulumi.Config reads single keys only, so unknown ones would go unseen."""
    merged = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    prefix = f"{project}:"
    return {key.removeprefix(prefix): value for key, value in merged.items() if key.startswith(prefix)}


def plain_secret(config: pulumi.Config, key: str) -> str:
    """A secret in clear, "" if there is none: for the preflight's logins alone, since Outputs are not known that early.

    It must never become an input of a resource, an export or part of a message.
    """
    (secret,) = [secret for secret in SECRET_KEYS if secret.key == key]
    return config.get(key) or (os.environ.get(secret.environment, "") if secret.environment else "")


def _secret(config: pulumi.Config, secret: SecretKey) -> pulumi.Output[str] | None:
    # The value is looked at only to see whether there is one.
    if config.get(secret.key):
        return config.get_secret(secret.key)
    value = plain_secret(config, secret.key)
    return pulumi.Output.secret(value) if value else None


def _meant(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f", did you mean {near[0]}?" if near else ""


def _sentence(fault: dict[str, Any]) -> str:
    """One fault of pydantic's as a sentence with config key and remedy."""
    parts = [str(part) for part in fault["loc"] if part != "[key]"]
    path = _path(fault["loc"])
    option = "--path " if len(parts) > 1 else ""
    quoted = f"'{path}'" if option else path
    if fault["type"] == "extra_forbidden":
        return (
            f"config key {path}: unknown key{_meant(parts[-1], _fields_at(parts[:-1]))}; "
            f"run `pulumi config rm {option}{quoted}`"
        )
    if fault["type"] == "missing":
        return f"config key {path}: required; run `pulumi config set {option}{quoted} VALUE`"
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input should be ").strip()
    if path == "storage.replication":  # YAML reads 001 as the number 1
        message = 'must be three digits in quotes such as "000"'
    if not path:
        return message  # a rule between keys names them itself, and what to do
    if fault["type"] != "value_error":
        message = f"must be {message}" if not message.startswith(("must", "String", "List")) else message
    found = fault.get("input")
    short = isinstance(found, str | int | float | bool) and len(str(found)) < 80
    shown = f" (is {json.dumps(found)})" if short else ""
    return f"config key {path}: {message}{shown}; run `pulumi config set {option}{quoted} VALUE`"


def _path(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        if part == "[key]":
            continue
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _fields_at(parts: list[str]) -> list[str]:
    """Keys that the object at `parts` may hold; none where the path leads through a list or a map."""
    model: Any = Settings
    for part in parts:
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        if part not in fields:
            return []
        annotation = fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        models = [item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)]
        if not models:
            return []
        model = models[0]
    return [info.alias or name for name, info in model.model_fields.items()]
