"""Types of the stack configuration: each refuses a bad value with a sentence that a person can act on.

Owns the formats (RFC 1123 names, Kubernetes quantities, image references, URLs, git refs) and what all objects have
in common. Knows no config key.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PINNED = re.compile(
    r"(?P<registry>[^/@]+)/(?P<repository>[^:@]+):(?P<tag>[^:@]+)@(?P<digest>[^@]+)"
)  # registry may carry a port, the rest is checked piece by piece
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# a part of what git-check-ref-format(1) allows; no leading '-', or git would take it for an option
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")
_CRON = re.compile(r"@(hourly|daily|weekly|monthly)|[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}")


def is_label(value: str) -> bool:
    """True for an RFC 1123 label: what Kubernetes takes as a name nearly everywhere."""
    return _LABEL.fullmatch(value) is not None


def _label(value: str) -> str:
    if not is_label(value):
        raise ValueError("must be a DNS label: lower-case letters, digits and '-', at most 63 characters")
    return value


def is_host_name(value: str) -> bool:
    """True for a lower-case RFC 1123 host name: labels of at most 63 characters, 253 in all."""
    return len(value) <= 253 and all(_LABEL.fullmatch(label) for label in value.split("."))


def _domain(value: str) -> str:
    if not is_host_name(value) or "." not in value:
        raise ValueError("must be a lower-case domain name (RFC 1123) such as 'example.org'")
    return value


def is_registry(value: str) -> bool:
    """True for `host` or `host:port`, the first part of an image reference."""
    host, _, port = value.partition(":")
    if not port:
        return ":" not in value and is_host_name(host)
    return is_host_name(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536


def _registry(value: str) -> str:
    if value and not is_registry(value):
        raise ValueError("must be a registry's host name (and port) such as 'harbor.example.org'")
    return value


def _project(value: str) -> str:
    if not _REPOSITORY.fullmatch(value) or "/" in value:
        raise ValueError("must be lower-case letters and digits, with single '.', '_' or '-' between them")
    return value


def _quantity(value: str) -> str:
    match = _QUANTITY.fullmatch(value)
    if not match or Decimal(match[1]) <= 0:
        raise ValueError("must be a Kubernetes quantity above zero such as '100Gi'")
    return value


def check_url(value: str, schemes: tuple[str, ...]) -> str:
    """Return `value` without trailing slash; ValueError unless absolute, without credentials and query."""
    wanted = f"must be a URL such as '{schemes[-1]}://host.example.org/path', without user or query"
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(wanted) from error
    if parts.scheme not in schemes or not host or not is_host_name(host):
        raise ValueError(wanted)
    if parts.username is not None or parts.query or parts.fragment or re.search(r"\s", value):
        raise ValueError(wanted)
    return value.rstrip("/")


def _https_url(value: str) -> str:
    return check_url(value, ("https",)) if value else value


def _http_url(value: str) -> str:
    return check_url(value, ("https", "http"))


def _tag(value: str) -> str:
    if not _TAG.fullmatch(value) or value == "latest":
        raise ValueError("must be an image tag other than 'latest' (versions are pinned)")
    return value


def split_pinned(reference: str) -> tuple[str, str, str, str]:
    """Split `registry/repository:tag@sha256:...` into (registry, repository, tag, digest).

    Raises ValueError for anything else: the catalogue needs the tag, and pods run by digest.
    """
    match = _PINNED.fullmatch(reference)
    wanted = "must be registry/repository:tag@sha256:<64 hex digits>, since versions are pinned"
    if not match or not is_registry(match["registry"]) or not _REPOSITORY.fullmatch(match["repository"]):
        raise ValueError(wanted)
    if not _DIGEST.fullmatch(match["digest"]):
        raise ValueError(wanted)
    return match["registry"], match["repository"], _tag(match["tag"]), match["digest"]


def _pinned(value: str) -> str:
    split_pinned(value)
    return value


def _pinned_or_default(value: str) -> str:
    return _pinned(value) if value else value


def _image_name(value: str) -> str:
    first, _, rest = value.partition("/")
    repository = rest if rest and ("." in first or ":" in first) else value
    if not _REPOSITORY.fullmatch(repository) or (repository is not value and not is_registry(first)):
        raise ValueError(
            "must be an image name without tag or digest, such as 'registry.example.org/jupyterhub/k8s-hub'"
        )
    return value


def _pem(value: str) -> str:
    if value and not re.search(r"-----BEGIN CERTIFICATE-----.+-----END CERTIFICATE-----", value, re.DOTALL):
        raise ValueError("must be PEM text: '-----BEGIN CERTIFICATE-----' and so on")
    return value.strip() + "\n" if value else value


def _group(value: str) -> str:
    path = value.strip("/")
    if not path or any(not part or part != part.strip() or "\n" in part for part in path.split("/")):
        raise ValueError("must be a group's name such as 'staff', or its path such as 'team/staff'")
    return path


def _absolute(value: str) -> str:
    if value and (not value.startswith("/") or ".." in value.split("/") or value == "/"):
        raise ValueError("must be an absolute path without '..'")
    return value.rstrip("/")


def _object_name(value: str) -> str:
    if value and not is_host_name(value):
        raise ValueError("must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.'")
    return value


def _repository_url(value: str) -> str:
    url = check_url(value, ("https",))
    if not urlsplit(url).path:
        raise ValueError("must be a repository's URL such as 'https://git.example.org/team/examples.git'")
    return url


def check_folder(value: str) -> str:
    """Return `value`; ValueError unless it is a single folder's name that no path can be hidden in."""
    if not _FOLDER.fullmatch(value):
        raise ValueError(
            "must be a folder's name: at most 100 letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    return value


def _git_ref(value: str) -> str:
    if not _REF.fullmatch(value) or ".." in value or "//" in value or value.endswith((".", "/", ".lock")):
        raise ValueError("must be a branch or tag such as 'main'")
    return value


def _cron(value: str) -> str:
    if not _CRON.fullmatch(value):
        raise ValueError("must be a cron schedule of five fields such as '23 4 * * *' (every day at 04:23)")
    return value


DnsLabel = Annotated[str, AfterValidator(_label)]
ObjectName = Annotated[str, AfterValidator(_object_name)]
RepositoryUrl = Annotated[str, AfterValidator(_repository_url)]
GitRef = Annotated[str, AfterValidator(_git_ref)]
Cron = Annotated[str, AfterValidator(_cron)]
DomainName = Annotated[str, AfterValidator(_domain)]
Registry = Annotated[str, AfterValidator(_registry)]
Project = Annotated[str, AfterValidator(_project)]
Quantity = Annotated[str, AfterValidator(_quantity)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
ImageTag = Annotated[str, AfterValidator(_tag)]
ImageName = Annotated[str, AfterValidator(_image_name)]
PinnedImage = Annotated[str, AfterValidator(_pinned)]
PinnedImageOrDefault = Annotated[str, AfterValidator(_pinned_or_default)]
Pem = Annotated[str, AfterValidator(_pem)]
# Keycloak's path of a group, without the slash at its front
Group = Annotated[str, AfterValidator(_group)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Name = Annotated[str, Field(pattern=r"^[^\s/:]+$", max_length=255)]
Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
# a day: the hub refuses more (thinkube_profiles/rules.py)
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Replication = Annotated[str, Field(pattern=r"^[0-9]{3}$")]


class Section(BaseModel):
    """An object of the stack file: strict types, camelCase keys, nothing unknown."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)
