"""The platform's services, listed from labelled ConfigMaps as thinkube-control 77f207f does (discovery.py).

Owns what `service.yaml` means, whether a service runs, and the health check of its primary endpoint. Leaves alone the
HTTP face. Not there: favourites, scaling, several endpoints' health, and services that language models are served by.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import yaml

from .cluster import Cluster, Json

log = logging.getLogger(__name__)

TYPES = ("core", "optional", "user_app")
_PLURALS = {"deployment": "deployments", "statefulset": "statefulsets", "daemonset": "daemonsets"}
_ENDPOINT = ("url", "port", "health_url", "health_service", "description")

Probe = Callable[[str], Awaitable[int]]
"""GET a URL: the status code. Raises OSError or TimeoutError."""


class Services:
    """Rows by name: updated by each discovery, never forgotten, switched off when their ConfigMap is gone."""

    def __init__(self) -> None:
        self._rows: dict[str, Json] = {}

    def listed(self) -> Json:
        """The answer of `GET /services/`: core first, then by name."""
        rows = sorted(self._rows.values(), key=lambda row: (row["type"], row["name"]))
        return {"services": rows, "total": len(rows), "filters": None}

    def row(self, identifier: str) -> Json | None:
        """The service with this id."""
        return next((row for row in self._rows.values() if row["id"] == identifier), None)

    async def discover(self, cluster: Cluster) -> dict[str, list[Json]]:
        """Read all ConfigMaps anew; what was found, by type. Raises KeyError on an unknown type: then none is taken."""
        found: dict[str, list[Json]] = {kind: [] for kind in TYPES}
        for config in await cluster.service_configs():
            row = await _extracted(config, cluster)
            if row is not None:
                found[row["type"]].append(row)
        names = set()
        for row in (row for rows in found.values() for row in rows):
            if row["name"] in names:
                log.warning("A second service %s is skipped.", row["name"])
                continue
            names.add(row["name"])
            known = self._rows.get(row["name"], {})
            kept = {key: known[key] for key in ("id", "created_at", "latest_health") if key in known}
            self._rows[row["name"]] = row | kept
        for name in self._rows.keys() - names:
            self._rows[name]["is_enabled"] = False
        return found

    async def check(self, row: Json, probe: Probe) -> Json:
        """Ask the primary endpoint for its health, and keep the answer with the service."""
        if not row["is_enabled"]:
            return {"status": "disabled", "message": "Service is disabled"}
        endpoint = next((each for each in row["endpoints"] if each["is_primary"]), None)
        health: Json = {
            "status_code": None,
            "response_time": None,
            "error_message": None,
            "checked_at": _now(),
        }
        if endpoint is None:
            health |= {"status": "unknown", "error_message": "No checkable endpoints"}
        else:
            started = time.monotonic()
            try:
                status = await probe(str(endpoint["health_url"]))
                healthy = 200 <= status < 400 or status in (401, 403)
                health |= {"status": "healthy" if healthy else "unhealthy", "status_code": status}
                health["response_time"] = int((time.monotonic() - started) * 1000)
            except (OSError, TimeoutError) as error:
                health |= {"status": "unhealthy", "error_message": str(error)}
            endpoint |= {"health_status": health["status"], "last_health_check": health["checked_at"]}
        row["latest_health"] = health | {"id": str(uuid.uuid4()), "service_id": row["id"], "details": {}}
        return health


async def _extracted(config: Json, cluster: Cluster) -> Json | None:
    """One service; None, with a logged reason, where the ConfigMap does not describe one."""
    name, namespace = config["metadata"].get("name"), config["metadata"].get("namespace")
    try:
        service = yaml.safe_load((config.get("data") or {})["service.yaml"])["service"]
        scaling = service.get("scaling") or {}
        where = scaling.get("namespace", namespace)
        resources = scaling.get("resources") or (
            [
                {
                    "resource_type": scaling.get("resource_type", "deployment"),
                    "resource_name": scaling["resource_name"],
                }
            ]
            if scaling.get("resource_name")
            else []
        )
        replicas = ready = 0
        for resource in resources:
            plural = _PLURALS[resource.get("resource_type", "deployment")]
            wanted, running = await cluster.replicas(plural, where, resource["resource_name"])
            replicas, ready = replicas + wanted, ready + running
        first = resources[0] if resources else {}
        endpoints = [_endpoint(each) for each in service.get("endpoints") or []]
        primary: Json = next((each for each in endpoints if each["is_primary"]), {})
        kind = service.get("type", "optional")
        return {
            "id": str(uuid.uuid4()),
            "name": service["name"],
            "display_name": service.get("display_name", service["name"]),
            "powered_by": service.get("powered_by"),
            "description": service.get("description", ""),
            "type": kind,
            "namespace": where,
            "category": service.get("category", "uncategorized"),
            "icon": service.get("icon", "mdi-server"),
            "url": primary.get("url"),
            "health_endpoint": primary.get("health_url"),
            "dependencies": service.get("dependencies") or [],
            "service_metadata": {
                "configmap": name, "configmap_namespace": namespace, "replicas": replicas, "ready_replicas": ready,
                "resources": resources, "gateway_managed": False,
            },
            "is_enabled": replicas > 0,
            "original_replicas": replicas or 1,
            "resource_type": first.get("resource_type", "deployment"),
            "resource_name": first.get("resource_name", service["name"]),
            "min_replicas": scaling.get("min_replicas", 1),
            "can_disable": scaling.get("can_disable", True),
            "can_be_disabled": kind in ("optional", "user_app"),
            "endpoints": endpoints,
            "latest_health": None,
            "is_favorite": False,
            "gpu_count": None,
            "gpu_nodes": None,
            "created_at": _now(),
            "updated_at": _now(),
        }  # fmt: skip
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        log.error("ConfigMap %s/%s describes no service: %r", namespace, name, error)
        return None


def _endpoint(given: Json) -> Json:
    known: Json = {key: given.get(key) for key in _ENDPOINT}
    return known | {
        "name": given["name"], "type": given.get("type", "http"), "is_primary": given.get("primary", False),
        "is_internal": given.get("internal", False), "last_health_check": None, "health_status": None,
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat()


def by_type(found: dict[str, list[Json]]) -> dict[str, list[dict[str, Any]]]:
    """What was discovered, as the answer of `POST /services/sync` shows it."""
    return {
        kind: [
            {"name": row["name"], "display_name": row["display_name"], "enabled": row["is_enabled"]}
            for row in rows
        ]
        for kind, rows in found.items()
    }
