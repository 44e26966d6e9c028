"""What the images are called and the catalogue of them that hub and thinkube-control read. Pure but for
reading files.

Owns the metadata file of an image folder (`image.yaml`), image names and references, and the manifest's
shape, which is thinkube-control's contract (manifest version 1.0). Leaves alone: building, and writing the
ConfigMap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from components.context import image_tag
from components.settings.models import Images
from components.settings.types import DnsLabel, split_pinned

METADATA_FILE = "image.yaml"


class Metadata(BaseModel):
    """The content of an image folder's image.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: DnsLabel
    display_name: str
    description: str
    parent: str | None = None
    gpu_required: bool = False
    memory_recommended: str = ""
    packages: list[str] = []
    source_url: str = ""
    licence: str = ""


@dataclass(frozen=True)
class NotebookImage:
    """One image of the catalogue, as far as it is known before it is built."""

    metadata: Metadata
    registry: str
    repository: str
    tag: str
    digest: str | None
    """None: comes with the build"""
    default: bool
    context: Path | None
    """folder that it is built from; None if prebuilt"""

    @property
    def reference(self) -> str:
        """registry/repository:tag"""
        return f"{self.registry}/{self.repository}:{self.tag}"


def read_metadata(folder: Path) -> dict[str, Metadata]:
    """Return the metadata of every image folder in `folder`, by name.

    Raises pulumi.RunError if a file is not what it should be, naming file and key.
    """
    found: dict[str, Metadata] = {}
    for path in sorted(folder.glob(f"*/{METADATA_FILE}")):
        try:
            metadata = Metadata.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (ValidationError, yaml.YAMLError) as error:
            raise pulumi.RunError(f"{path}: not valid image metadata: {error}") from error
        if metadata.name != path.parent.name:
            raise pulumi.RunError(
                f"{path}: name is '{metadata.name}'; it must be the folder's, '{path.parent.name}'"
            )
        found[metadata.name] = metadata
    return found


def plan_images(settings: Images, folder: Path, registry: str, project: str) -> list[NotebookImage]:
    """Return the images of the stack, parents before children.

    Raises pulumi.RunError for a default image or a parent that is not there, and for parents in a circle.
    """
    known = read_metadata(folder)
    if settings.mode == "prebuilt":
        return [
            _prebuilt(name, reference, known, settings)
            for name, reference in sorted(settings.prebuilt.items())
        ]
    if settings.default not in known:
        raise pulumi.RunError(
            f"config key images.default: there is no image '{settings.default}' in {folder}, only "
            f"{', '.join(known) or 'none'}; run `pulumi config set --path images.default NAME`"
        )
    tags: dict[str, str] = {}
    images = []
    for name in _parents_first(known):
        metadata = known[name]
        tags[name] = image_tag(
            folder / name, settings.build_args, tags[metadata.parent] if metadata.parent else ""
        )
        images.append(
            NotebookImage(
                metadata=metadata,
                registry=registry,
                repository=f"{project}/{name}",
                tag=tags[name],
                digest=None,
                default=name == settings.default,
                context=folder / name,
            )
        )
    return images


def manifest(images: Sequence[NotebookImage], digests: Mapping[str, str], project: str, owner: str) -> str:
    """Return `manifest.json` for thinkube-control and the hub.

    `digests`: "sha256:..." by image name. No date is given (thinkube-control takes its own): it would
    change the catalogue with every run.
    """
    return json.dumps(
        {
            "manifest_version": "1.0",
            "images": [_entry(image, digests[image.metadata.name], project, owner) for image in images],
        },
        indent=2,
        sort_keys=True,
    )


def _entry(image: NotebookImage, digest: str, project: str, owner: str) -> dict[str, Any]:
    metadata = image.metadata
    return {
        "name": metadata.name,
        "registry": image.registry,
        "repository": image.repository,
        "tag": image.tag,
        "source_url": metadata.source_url,
        "destination_url": image.reference,
        "description": metadata.description,
        "category": "user",
        "source": "built",
        "protected": False,
        "harbor_project": project,
        "metadata": {
            "purpose": "jupyter",
            "display_name": metadata.display_name,
            "gpu_required": metadata.gpu_required,
            "memory_recommended": metadata.memory_recommended,
            "packages": metadata.packages,
            "licence": metadata.licence,
            "owner": owner,
            "digest": digest,
            "default": image.default,
        },
    }


def _prebuilt(name: str, reference: str, known: Mapping[str, Metadata], settings: Images) -> NotebookImage:
    registry, repository, tag, digest = split_pinned(reference)
    plain = Metadata(name=name, display_name=name, description=f"Notebook image {repository}")
    return NotebookImage(
        known.get(name, plain), registry, repository, tag, digest, name == settings.default, None
    )


def _parents_first(known: Mapping[str, Metadata]) -> list[str]:
    order: list[str] = []
    waiting = sorted(known)
    while waiting:
        ready = [name for name in waiting if known[name].parent is None or known[name].parent in order]
        if not ready:
            raise pulumi.RunError(
                f"image.yaml of {', '.join(waiting)}: the parent is no image folder, or parents form a circle"
            )
        order += ready
        waiting = [name for name in waiting if name not in ready]
    return order
