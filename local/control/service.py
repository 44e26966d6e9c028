"""The HTTP face: routes, authentication and error bodies as thinkube-control's (77f207f, on FastAPI).

Reading needs no token, since JupyterHub reads from inside the cluster; changing does.
Errors are `{"detail": ...}`.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from .cluster import Cluster, Json
from .images import Inventory
from .resources import ResourceCache
from .services import Services, by_type

log = logging.getLogger(__name__)

PREFIX = "/api/v1"
DISCOVERY_SECONDS = 300  # thinkube-control's own, both
HEALTH_SECONDS = 10
_DETAILS = {404: "Not Found", 405: "Method Not Allowed"}
_BOUNDS = {"default_cpu_cores": (1, 128), "default_memory_gb": (1, 512), "default_gpu_count": (0, 8)}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(cluster: Cluster, token: str, cache_seconds: float) -> web.Application:
    """The application. `token` is what changes ask for; `cache_seconds` bounds the age of the resources'
    figures.
    """
    service = _Service(cluster, token, ResourceCache(cluster, cache_seconds))
    app = web.Application(middlewares=[_errors])
    app.cleanup_ctx.append(service.lifespan)
    app.add_routes(
        [
            web.get("/health", service.health),
            web.get(f"{PREFIX}/images/jupyter", service.images),
            web.get(f"{PREFIX}/cluster/resources", service.resources),
            web.get(f"{PREFIX}/jupyterhub/config", service.config),
            web.put(f"{PREFIX}/jupyterhub/config", service.update_config),
            web.post(f"{PREFIX}/harbor/images/sync", service.sync),
            web.get(f"{PREFIX}/services/", service.services),
            web.post(f"{PREFIX}/services/sync", service.sync_services),
            web.post(f"{PREFIX}/services/{{id}}/health-check", service.check_health),
        ]
    )
    return app


class _Service:
    def __init__(self, cluster: Cluster, token: str, cache: ResourceCache) -> None:
        self._cluster = cluster
        self._token = token.encode()
        self._cache = cache
        self._inventory = Inventory()
        self._services = Services()
        now = datetime.now(UTC).isoformat()
        self._config: Json = {
            "id": str(uuid.uuid4()),
            "default_node": None,
            "default_cpu_cores": 4,
            "default_memory_gb": 8,
            "default_gpu_count": 0,
            "created_at": now,
            "updated_at": now,
        }

    async def lifespan(self, _app: web.Application) -> AsyncIterator[None]:
        """Read the manifests once; keep the figures warm. A cluster that does not answer yet is no reason
        to fail.
        """
        try:
            log.info("Images at start: %s", self._inventory.sync(await self._cluster.image_manifests()))
        except Exception as error:
            log.warning("Image manifests could not be read, sync later: %s", error)
        await self._discover()
        discovery = asyncio.create_task(self._discover_for_ever())
        async with self._cache.warm():
            yield
        discovery.cancel()

    async def _discover(self) -> None:
        try:
            await self._services.discover(self._cluster)
        except Exception as error:
            log.error("Services could not be read: %r", error)

    async def _discover_for_ever(self) -> None:
        while True:
            await asyncio.sleep(DISCOVERY_SECONDS)
            await self._discover()

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def images(self, _request: web.Request) -> web.Response:
        return web.json_response(self._inventory.jupyter())

    async def resources(self, _request: web.Request) -> web.Response:
        return web.json_response(await self._cache.get())

    async def config(self, _request: web.Request) -> web.Response:
        return web.json_response(self._config)

    async def update_config(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        try:
            body = await request.json()
        except json.JSONDecodeError:
            body = None
        problems = _config_problems(body)
        if problems:
            return web.json_response({"detail": problems}, status=422)
        self._config |= {key: body[key] for key in _BOUNDS} | {
            "default_node": body.get("default_node"),
            "updated_at": datetime.now(UTC).isoformat(),
        }
        return web.json_response(self._config)

    async def sync(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        try:
            statistics = self._inventory.sync(await self._cluster.image_manifests())
        except Exception as error:
            log.error("Image sync failed: %s", error)
            return web.json_response({"detail": f"Sync failed: {error}"}, status=500)
        return web.json_response({"message": "Sync completed successfully", "statistics": statistics})

    async def services(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        return web.json_response(self._services.listed())

    async def sync_services(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        try:
            found = by_type(await self._services.discover(self._cluster))
        except Exception as error:
            return web.json_response({"detail": f"Service sync failed: {error}"}, status=500)
        return web.json_response({"message": "Service sync completed successfully", "discovered": found})

    async def check_health(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        row = self._services.row(request.match_info["id"])
        if row is None:
            return web.json_response({"detail": "Service not found"}, status=404)
        return web.json_response(await self._services.check(row, _probe))

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            raise web.HTTPUnauthorized(
                text=json.dumps({"detail": "Not authenticated"}),
                content_type="application/json",
                headers={"WWW-Authenticate": 'Bearer, ApiKey realm="api"'},
            )


async def _probe(url: str) -> int:
    """Status of a GET; like thinkube-control's, it looks at no certificate: a health check carries nothing."""
    timeout = aiohttp.ClientTimeout(total=HEALTH_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, ssl=False, allow_redirects=False) as answer,
    ):
        return answer.status


def _config_problems(body: object) -> list[Json]:
    """What is wrong with an update, in the shape of FastAPI's 422 answers; empty if nothing is."""
    if not isinstance(body, dict):
        return [{"loc": ["body"], "msg": "Input should be a valid dictionary", "type": "dict_type"}]
    problems: list[Json] = []
    for key, (least, most) in _BOUNDS.items():
        value = body.get(key)
        if key not in body:
            problems.append({"loc": ["body", key], "msg": "Field required", "type": "missing"})
        elif not isinstance(value, int) or isinstance(value, bool):
            problems.append(
                {"loc": ["body", key], "msg": "Input should be a valid integer", "type": "int_type"}
            )
        elif not least <= value <= most:
            message = f"Input should be between {least} and {most}"
            problems.append({"loc": ["body", key], "msg": message, "type": "out_of_range"})
    if not isinstance(body.get("default_node"), str | None):
        problems.append(
            {"loc": ["body", "default_node"], "msg": "Input should be a valid string", "type": "string_type"}
        )
    return problems


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """FastAPI's error bodies in place of aiohttp's plain text."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status not in _DETAILS:
            raise
        return web.json_response({"detail": _DETAILS[error.status]}, status=error.status)
    except Exception as error:
        log.exception("%s %s failed", request.method, request.path)
        return web.json_response({"detail": str(error)}, status=500)
