"""`/images/jupyter`: container images that labelled ConfigMaps announce.

Owns the inventory and its rules, which are thinkube-control's (77f207f,
backend/app/services/image_discovery.py and api/jupyter_images.py): one row per registry, repository and
tag; a row is never deleted; a known row takes a new description, category and metadata, not a new name;
read at start and on request only; `default` is whichever row comes first. Kept in memory: a restart forgets
what no ConfigMap announces any more.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from .cluster import Json

log = logging.getLogger(__name__)

CATEGORIES = ("system", "user")

Key = tuple[Any, Any, Any]
"""Registry, repository, tag; as announced, so that a null stays one."""


class Inventory:
    """Everything that was ever announced to this process."""

    def __init__(self) -> None:
        self._rows: dict[Key, Json] = {}

    def sync(self, configmaps: Iterable[Json]) -> dict[str, int]:
        """Take over what the ConfigMaps announce; returns how many, by category and in total.

        Raises ValueError for a ConfigMap with an unknown category: nothing is taken over then.
        """
        counts = dict.fromkeys(CATEGORIES, 0)
        announced: dict[Key, Json] = {}
        for configmap in configmaps:
            meta = configmap.get("metadata") or {}
            images = _announced(configmap)
            category = (meta.get("labels") or {}).get("thinkube.io/category", "user")
            if images and category not in counts:
                raise ValueError(f"ConfigMap {meta.get('name')} has the unknown category {category!r}.")
            for image in images:
                counts[category] += 1
                announced[(image.get("registry"), image.get("repository"), image.get("tag", "latest"))] = (
                    image
                )
        for key, image in announced.items():
            row = self._rows.setdefault(key, {"name": image.get("name")})
            row["description"] = image.get("description")
            row["metadata"] = image.get("metadata") or {}
        return counts | {"total": sum(counts.values())}

    def jupyter(self) -> list[Json]:
        """The endpoint's answer: rows whose metadata say `purpose: jupyter`, first announced first."""
        found: list[Json] = []
        for (registry, repository, tag), row in self._rows.items():
            metadata = row["metadata"]
            if metadata.get("purpose") != "jupyter":
                continue
            shown = metadata.get("display_name", row["name"])
            found.append(
                {
                    "name": row["name"],
                    "display_name": shown,
                    "description": row["description"] or f"Jupyter notebook: {shown}",
                    "default": not found,
                    # Manifests carry no size, so that it is null here as it is there.
                    "metadata": {
                        "image_size": None,
                        "registry": registry,
                        "repository": repository,
                        "tag": tag,
                    },
                }
            )
        return found


def _announced(configmap: Json) -> list[Json]:
    """Images of one ConfigMap's `manifest.json`; none, with a logged reason, where it cannot be read."""
    name = (configmap.get("metadata") or {}).get("name")
    text = (configmap.get("data") or {}).get("manifest.json")
    if not text:
        log.warning("ConfigMap %s has no manifest.json.", name)
        return []
    try:
        manifest = json.loads(text)
        if manifest.get("manifest_version") != "1.0":
            log.warning(
                "ConfigMap %s has the unknown manifest version %r.", name, manifest.get("manifest_version")
            )
        images = manifest.get("images", [])
        return [
            image
            for image in images
            if isinstance(image, dict) and isinstance(image.get("metadata", {}), dict)
        ]
    except (ValueError, AttributeError, TypeError) as error:
        log.error("manifest.json of ConfigMap %s cannot be read: %s", name, error)
        return []
