"""`/cluster/resources`: capacity, allocation and what is left, node by node, in thinkube-control's units
and shapes.

Pure functions over the API's dicts, and the cache that answers from the last computed figures. The rules are
thinkube-control's (77f207f, backend/app/api/cluster_resources.py): allocation counts *limits* of running
pods' containers, memory is rounded down to whole `Gi` (`Mi`, `Ki` below that), a node whose GPUs cannot be
looked into lists them as "Unknown GPU" (no simulated one can), with `effective_gpu` equal to their number.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable

from .cluster import Cluster, Json

log = logging.getLogger(__name__)

GPU = "nvidia.com/gpu"
_UNITS = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
    "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
}  # fmt: skip


def parse_memory(text: str | int) -> int:
    """Bytes of a Kubernetes quantity (`16Gi`, `1.5G`, `128974848`). Raises ValueError."""
    text = str(text)
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    number = text.removesuffix(unit) if unit else text
    if number.endswith("m"):  # the API's canonical form of a fraction of a byte
        return int(number[:-1]) // 1000
    return int(float(number) * _UNITS.get(unit, 1))


def parse_cpu(text: str | int) -> int | float:
    """Cores of a Kubernetes quantity: an int for `4`, a float for `1500m`. Raises ValueError."""
    text = str(text)
    cores = int(text[:-1]) / 1000 if text.endswith("m") else float(text)
    return int(cores) if cores == int(cores) else cores


def format_memory(count: int) -> str:
    """Bytes as thinkube-control writes them: whole Gi, Mi or Ki, rounded down; plain below 1 Ki."""
    for unit in ("Gi", "Mi", "Ki"):
        if count >= _UNITS[unit]:
            return f"{count // _UNITS[unit]}{unit}"
    return str(count)


def node_resources(nodes: Iterable[Json], pods: Iterable[Json]) -> list[Json]:
    """The endpoint's answer. `pods` are the running ones; those without a node count nowhere."""
    by_node: dict[str, list[Json]] = {}
    for pod in pods:
        if name := (pod.get("spec") or {}).get("nodeName"):
            by_node.setdefault(name, []).append(pod)
    return [_node(node, by_node.get(node["metadata"]["name"], [])) for node in nodes]


def _node(node: Json, pods: list[Json]) -> Json:
    status = (node.get("status") or {}).get("capacity") or {}
    cpu, memory = parse_cpu(status.get("cpu", "0")), parse_memory(status.get("memory", "0"))
    gpu = int(status.get(GPU, 0))
    used_cpu, used_memory, used_gpu = _limits(pods)
    return {
        "name": node["metadata"]["name"],
        "capacity": {"cpu": cpu, "memory": format_memory(memory), "gpu": gpu, "effective_gpu": gpu},
        "allocated": {"cpu": round(used_cpu, 2), "memory": format_memory(used_memory), "gpu": used_gpu},
        "available": {
            "cpu": round(max(0, cpu - used_cpu), 2),
            "memory": format_memory(max(0, memory - used_memory)),
            "gpu": max(0, gpu - used_gpu),
        },
        "gpu_details": [
            {
                "index": index,
                "model": "Unknown GPU",
                "memory_total": "Unknown",
                "memory_used": "Unknown",
                "memory_free": "Unknown",
                "available": index >= used_gpu,
            }
            for index in range(gpu)
        ],
    }


def _limits(pods: list[Json]) -> tuple[float, int, int]:
    """Sum of the limits of all containers (init containers do not count): cores, bytes, GPUs."""
    cpu, memory, gpu = 0.0, 0, 0
    for pod in pods:
        for container in (pod.get("spec") or {}).get("containers") or []:
            limits = (container.get("resources") or {}).get("limits") or {}
            cpu += parse_cpu(limits.get("cpu", "0"))
            memory += parse_memory(limits.get("memory", "0"))
            gpu += int(limits.get(GPU, 0))
    return cpu, memory, gpu


class ResourceCache:
    """Last computed figures, kept warm in the background, so that no request waits for the pod list."""

    def __init__(self, cluster: Cluster, seconds: float) -> None:
        """`seconds`: how old figures may get before they are computed anew."""
        self._cluster = cluster
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._figures: list[Json] | None = None
        self._computed_at = 0.0

    async def get(self) -> list[Json]:
        """The figures at hand; computed first where there are none. Raises what the cluster's API raises
        then.
        """
        return self._figures if self._figures is not None else await self._refresh()

    async def _refresh(self) -> list[Json]:
        async with self._lock:
            if self._figures is None or time.monotonic() - self._computed_at >= self._seconds:
                nodes, pods = await asyncio.gather(self._cluster.nodes(), self._cluster.running_pods())
                self._figures = node_resources(nodes, pods)
                self._computed_at = time.monotonic()
            return self._figures

    async def keep_warm(self) -> None:
        """Refresh until cancelled. A failure leaves the last figures in use, as thinkube-control does."""
        while True:
            try:
                await self._refresh()
            except Exception as error:
                log.warning("Refresh of the cluster's resources failed: %s", error)
            await asyncio.sleep(self._seconds)

    @contextlib.asynccontextmanager
    async def warm(self) -> AsyncIterator[None]:
        """Run `keep_warm` for as long as the block lasts."""
        task = asyncio.create_task(self.keep_warm())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
