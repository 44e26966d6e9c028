"""Images that a notebook may run: what thinkube-control lists, joined with what was deployed. No I/O.

Binding rules: of each repository in our catalogue the catalogue's tag if it is listed, else the newest
listed one, by digest where the catalogue knows it; images that others registered run by tag. Nothing that
is not listed is ever offered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

_REGISTRY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::\d{1,5})?", re.ASCII)
_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*", re.ASCII
)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", re.ASCII)


@dataclass(frozen=True)
class Listed:
    """One row of `/images/jupyter`."""

    name: str
    display_name: str
    description: str
    registry: str
    repository: str
    tag: str

    @property
    def home(self) -> tuple[str, str]:
        """Registry and repository: what the join goes by."""
        return self.registry, self.repository


@dataclass(frozen=True)
class Deployed:
    """One image of our catalogue. `digest` is None where a prebuilt reference has none."""

    listed: Listed
    digest: str | None
    default: bool
    gpu_required: bool


@dataclass(frozen=True)
class NotebookImage:
    """An image that can be chosen by `name`; `reference` is what the pod runs."""

    name: str
    display_name: str
    description: str
    reference: str
    default: bool
    gpu_required: bool


def parse_images(answer: object) -> tuple[tuple[Listed, ...], tuple[str, ...]]:
    """Rows of `/images/jupyter`, and why rows were dropped. Raises ValueError as `parse_resources` does."""
    if not isinstance(answer, list):
        raise ValueError("the answer is no list of images")
    images, dropped = [], []
    for index, entry in enumerate(answer):
        try:
            images.append(_listed(entry, _object(_object(entry, "entry").get("metadata"), "metadata")))
        except ValueError as fault:
            dropped.append(f"image entry {index}: {fault}")
    if answer and not images:
        raise ValueError(f"none of {len(answer)} images can be read, the first because of {dropped[0]}")
    return tuple(images), tuple(dropped)


def parse_catalogue(manifest: str) -> tuple[tuple[Deployed, ...], tuple[str, ...]]:
    """Notebook images of our catalogue ConfigMap's `manifest.json`, and why entries were dropped.

    Raises ValueError for what is no manifest of version 1.0.
    """
    content = _object(json.loads(manifest), "manifest.json")
    entries = content.get("images")
    if content.get("manifest_version") != "1.0" or not isinstance(entries, list):
        raise ValueError("manifest.json is no image manifest of version 1.0")
    images, dropped = [], []
    for index, entry in enumerate(entries):
        try:
            deployed = _deployed(_object(entry, "entry"))
            if deployed:
                images.append(deployed)
        except ValueError as fault:
            dropped.append(f"catalogue entry {index}: {fault}")
    return tuple(images), tuple(dropped)


def join(
    listed: Iterable[Listed], deployed: Iterable[Deployed], default_image: str
) -> tuple[tuple[NotebookImage, ...], tuple[str, ...]]:
    """Images on offer, ours first in the catalogue's order, and which listed ones were left out and why.

    "Newest" is the last one listed: thinkube-control gives no date, and adds what is new at the end.
    `default_image` names the default where the catalogue marks none.
    """
    by_home: dict[tuple[str, str], dict[str, Listed]] = {}
    for row in listed:
        by_home.setdefault(row.home, {})[row.tag] = row
    offered: dict[str, NotebookImage] = {}
    dropped: list[str] = []

    def offer(image: NotebookImage) -> None:
        # Ours come first: nobody takes the name of a deployed image by registering another under it.
        if image.name in offered:
            dropped.append(
                f"{image.reference}: the name {image.name} is taken by {offered[image.name].reference}"
            )
        else:
            offered[image.name] = image

    ours = list(deployed)
    marked = any(entry.default for entry in ours)
    digests = {(*entry.listed.home, entry.listed.tag): entry.digest for entry in ours}
    for entry in ours:
        rows = by_home.get(entry.listed.home)
        if not rows:
            dropped.append(f"{entry.listed.name}: thinkube-control does not list it yet")
            continue
        row = rows.get(entry.listed.tag) or list(rows.values())[-1]
        digest = digests.get((*row.home, row.tag))
        default = entry.default if marked else entry.listed.name == default_image
        text = entry.listed
        offer(
            NotebookImage(
                text.name,
                text.display_name,
                text.description,
                _reference(row, digest),
                default,
                entry.gpu_required,
            )
        )
    our_homes = {entry.listed.home for entry in ours}
    for home, rows in by_home.items():
        if home in our_homes:
            continue
        newest = list(rows)[-1]
        for tag, row in rows.items():
            name = row.name if tag == newest else f"{row.name}:{tag}"
            offer(NotebookImage(name, row.display_name, row.description, _reference(row, None), False, False))
    return tuple(offered.values()), tuple(dropped)


def _reference(row: Listed, digest: str | None) -> str:
    return f"{row.registry}/{row.repository}" + (f"@{digest}" if digest else f":{row.tag}")


def _listed(entry: dict[str, object], place: dict[str, object]) -> Listed:
    """`place` holds registry, repository and tag: the metadata of a listed row, the entry itself in a
    manifest.
    """
    name = _match(entry, "name", _NAME)
    return Listed(
        name=name,
        display_name=_text(entry.get("display_name"), 120) or name,
        description=_text(entry.get("description"), 500),
        registry=_match(place, "registry", _REGISTRY),
        repository=_match(place, "repository", _REPOSITORY),
        tag=_match(place, "tag", _TAG),
    )


def _deployed(entry: dict[str, object]) -> Deployed | None:
    """None for an image that is no notebook."""
    metadata = _object(entry.get("metadata"), "metadata")
    if metadata.get("purpose") != "jupyter":
        return None
    listed = _listed(entry | {"display_name": metadata.get("display_name")}, entry)
    digest = None if metadata.get("digest") is None else _match(metadata, "digest", _DIGEST)
    return Deployed(listed, digest, metadata.get("default") is True, metadata.get("gpu_required") is True)


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")
    return value


def _match(entry: dict[str, object], key: str, pattern: re.Pattern[str]) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{key} is missing or malformed")
    return value


def _text(value: object, most: int) -> str:
    return value[:most] if isinstance(value, str) else ""
