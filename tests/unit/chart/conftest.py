"""Renders the stand-in chart with helm, and executes its hub configuration on a traitlets Config."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tornado.httpclient import AsyncHTTPClient
from traitlets.config import Config

CHART = Path(__file__).parents[3] / "local" / "charts" / "jupyterhub"
CACHED = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "thinkube-jupyterhub"
Values = dict[str, Any]

LEAST: Values = {
    "scheduling": {"userScheduler": {"enabled": False}},
    "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
    "singleuser": {"storage": {"type": "none"}, "cloudMetadata": {"blockWithIptables": False}},
}
"""what has to be switched off, or the chart refuses to render"""


def merge(below: Values, above: Values) -> Values:
    """Helm's rule: mappings are merged, all else is replaced."""
    out = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merge(out[key], value) if both else value
    return out


def nested(key: str, value: Any) -> Values:
    """`nested("a.b", 1)` is {"a": {"b": 1}}."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]


class Tools:
    """Handed to tests as a fixture: with the importlib import mode they cannot import this file."""

    chart = CHART
    least = LEAST
    merge = staticmethod(merge)
    nested = staticmethod(nested)

    @staticmethod
    def defaults() -> Values:
        return merge(yaml.safe_load((CHART / "values.yaml").read_text()), LEAST)


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest) -> str:
    """Path of a helm 3: THINKUBE_HELM, PATH, the platform's cache."""
    built = [path for depth in ("*", "*/*", "*/*/*") for path in CACHED.glob(f"{depth}/helm")]
    cached = [path for path in built if path.is_file() and os.access(path, os.X_OK)]
    found = os.environ.get("THINKUBE_HELM") or shutil.which("helm") or (str(cached[-1]) if cached else None)
    if found is None and os.environ.get("REQUIRE_PLATFORM") == "1":  # CI, cold: no test may be skipped
        found = str(request.getfixturevalue("engine_tools") / "helm")
    if found is None:
        pytest.skip("no helm: set THINKUBE_HELM, or run `make up` once, which builds one")
    return found


@pytest.fixture(scope="session")
def template(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Values], dict[str, Values]]:
    """`template(values)`: objects by "Kind/name". Raises ValueError with helm's words if it refuses."""

    def run(values: Values) -> dict[str, Values]:
        file = tmp_path_factory.mktemp("values") / "values.json"
        file.write_text(json.dumps(values))
        command = [
            helm,
            "template",
            "jupyterhub",
            str(CHART),
            "--namespace",
            "ns",
            "--kube-version",
            "1.34.0",
        ]
        done = subprocess.run([*command, "--values", str(file)], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(done.stderr)
        objects = [found for found in yaml.safe_load_all(done.stdout) if found]
        named = {f"{found['kind']}/{found['metadata']['name']}": found for found in objects}
        assert len(named) == len(objects), "two objects of the same name"
        return named

    return run


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """`hub_folder(secret, names)`: /usr/local/etc/jupyterhub as the hub's pod has it, code included."""

    def build(secret: dict[str, str], names: dict[str, str]) -> Path:
        for folder, files in (("secret", secret), ("config", names)):
            (tmp_path / folder).mkdir()
            for name, content in files.items():
                (tmp_path / folder / name).write_text(content)
        for code in (CHART / "files" / "hub").glob("*.py"):
            shutil.copy(code, tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path

    sys.modules.pop("z2jh", None)
    yield build
    sys.modules.pop("z2jh", None)


@pytest.fixture
def configure(hub_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Config]:
    """`configure(values)` or `configure(objects=template(...))`: the Config after jupyterhub_config.py."""
    clients: list[str] = []
    monkeypatch.setattr(AsyncHTTPClient, "configure", clients.append)  # global state of tornado
    for name in ("HUB", "PROXY_API"):
        monkeypatch.setenv(f"{name}_SERVICE_PORT", "80" if name == "HUB" else "8001")
    monkeypatch.setenv("POD_NAMESPACE", "ns")
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(
        values: Values | None = None, objects: dict[str, Values] | None = None, before: str = ""
    ) -> Config:
        if objects is not None:
            encoded = objects["Secret/hub"]["data"]
            secret = {key: base64.b64decode(value).decode() for key, value in encoded.items()}
            names = objects["ConfigMap/hub"]["data"]
        else:
            release = {
                "Release": {"Name": "jupyterhub"},
                "Chart": {"Name": "jupyterhub", "Version": "4.4.0+a"},
            }
            secret = {
                "values.yaml": yaml.safe_dump(merge(Tools.defaults(), values or {}) | release),
                "hub.config.JupyterHub.cookie_secret": "ab" * 32,
                "hub.config.CryptKeeper.keys": "cd" * 32,
                "hub.services.robot.apiToken": "token-of-robot",
            }
            names = {"hub": "hub", "proxy-api": "proxy-api"}
        folder = hub_folder(secret, names)
        if before:
            (folder / "jupyterhub_config.d").mkdir()
            (folder / "jupyterhub_config.d" / "50-own.py").write_text(before)
        path = folder / "jupyterhub_config.py"
        c = Config()
        exec(compile(path.read_text(), str(path), "exec"), {"get_config": lambda: c, "__file__": str(path)})  # noqa: S102
        assert clients == ["tornado.curl_httpclient.CurlAsyncHTTPClient"]
        return c

    return run
