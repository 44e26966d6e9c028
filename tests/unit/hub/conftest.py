"""What the tests of the hub-side code share: settings, answers as thinkube-control gives them, no network."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from thinkube_profiles.discovery import Discovery
from thinkube_profiles.rules import Settings, read_settings

DIGEST = "sha256:" + "ab" * 32
SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "thinkube-control"


def make_values() -> dict[str, Any]:
    """`custom.thinkube` as the program writes it."""
    return {
        "control": {
            "url": "http://127.0.0.1:9/api/v1",
            "refreshSeconds": 15,
            "deadlineSeconds": 2,
            "staleAfterSeconds": 300,
        },
        "catalogue": {"namespace": "jupyterhub", "configMap": "jupyterhub-image-catalogue"},
        "defaultImage": "tk-jupyter-scipy",
        "profiles": {
            "sizes": [
                {"slug": "basic", "displayName": "CPU basic", "cpu": 2, "memoryGb": 4},
                {"slug": "large", "displayName": "CPU large", "cpu": 8, "memoryGb": 16},
                {"slug": "huge", "displayName": "CPU huge", "cpu": 64, "memoryGb": 256},
            ],
            "cpuGuaranteeFraction": 0.5,
            "memoryGuaranteeFraction": 1,
        },
    }


@pytest.fixture
def values() -> dict[str, Any]:
    """`custom.thinkube`, to change at will."""
    return make_values()


@pytest.fixture
def settings(values: dict[str, Any]) -> Settings:
    return read_settings(values)


def make_resources() -> list[dict[str, Any]]:
    """Two nodes: one that is nearly full, one with room."""

    def node(name: str, cpu: float, memory: str, free_cpu: float, free_memory: str) -> dict[str, Any]:
        return {
            "name": name,
            "capacity": {"cpu": cpu, "memory": memory, "gpu": 0, "effective_gpu": 0},
            "allocated": {"cpu": cpu - free_cpu, "memory": "1Gi", "gpu": 0},
            "available": {"cpu": free_cpu, "memory": free_memory, "gpu": 0},
            "gpu_details": [],
        }

    return [node("full-1", 8, "31Gi", 0.5, "900Mi"), node("room-1", 4, "15Gi", 3.2, "12Gi")]


def row(name: str, tag: str, registry: str = "harbor.example.org") -> dict[str, Any]:
    return {
        "name": name,
        "display_name": f"Listed {name}",
        "description": f"All of {name}",
        "default": False,
        "metadata": {"image_size": None, "registry": registry, "repository": f"library/{name}", "tag": tag},
    }


@pytest.fixture
def image_row() -> Callable[..., dict[str, Any]]:
    """Makes one row of `/images/jupyter`: name, tag, registry."""
    return row


def make_images() -> list[dict[str, Any]]:
    """Both images of ours and one that somebody else registered."""
    return [row("tk-jupyter-scipy", "aaa111"), row("tk-jupyter-ml-gpu", "bbb222"), row("team-r", "v1")]


def make_manifest() -> dict[str, Any]:
    """Our catalogue: one image for CPU, marked as the default, one that needs a GPU."""

    def entry(name: str, tag: str, shown: str, **metadata: Any) -> dict[str, Any]:
        return {
            "name": name,
            "registry": "harbor.example.org",
            "repository": f"library/{name}",
            "tag": tag,
            "description": f"Deployed {name}",
            "category": "user",
            "metadata": {"purpose": "jupyter", "display_name": shown, "digest": DIGEST, **metadata},
        }

    return {
        "manifest_version": "1.0",
        "images": [
            entry("tk-jupyter-scipy", "aaa111", "Data work", default=True, gpu_required=False),
            entry("tk-jupyter-ml-gpu", "bbb222", "PyTorch", default=False, gpu_required=True),
        ],
    }


@pytest.fixture
def resources() -> list[dict[str, Any]]:
    """`/cluster/resources`, to change at will."""
    return make_resources()


@pytest.fixture
def images() -> list[dict[str, Any]]:
    """`/images/jupyter`, to change at will."""
    return make_images()


@pytest.fixture
def manifest() -> dict[str, Any]:
    """Our catalogue's `manifest.json`, to change at will."""
    return make_manifest()


@pytest.fixture(scope="session")
def everything() -> dict[str, Callable[[], Any]]:
    """The makers of all of that, for fixtures that outlive one test."""
    return {
        "values": make_values,
        "images": make_images,
        "resources": make_resources,
        "manifest": make_manifest,
    }


class Answers:
    """Both sources in one, without a network: set what they answer, or an exception to raise."""

    def __init__(self, images: object, resources: object, manifest: object) -> None:
        self.images_answer = images
        self.resources_answer = resources
        self.manifest_answer = manifest
        self.now = 1000.0
        self.closed = 0

    async def images(self) -> object:
        return self._give(self.images_answer)

    async def resources(self) -> object:
        return self._give(self.resources_answer)

    async def manifest(self) -> str:
        given = self._give(self.manifest_answer)
        return given if isinstance(given, str) else json.dumps(given)

    async def close(self) -> None:
        self.closed += 1

    def clock(self) -> float:
        return self.now

    @staticmethod
    def _give(answer: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return copy.deepcopy(answer)


@pytest.fixture
def answers(images: object, resources: object, manifest: object) -> Answers:
    return Answers(images, resources, manifest)


@pytest.fixture
def discovery(settings: Settings, answers: Answers) -> Discovery:
    """Discovery over `answers`, not started: tests call `refresh` when time passes."""
    return Discovery(settings, answers, answers, answers.clock)


@pytest.fixture
def sample() -> Callable[[str], Any]:
    """Reads one of the sample answers that lie beside the repository, where they do."""

    def read(name: str) -> Any:
        path = SAMPLES / name
        if not path.exists():
            pytest.skip(f"the sample answer {name} does not lie beside this checkout")
        return json.loads(path.read_text())

    return read
