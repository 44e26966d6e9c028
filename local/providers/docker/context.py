"""The build context's digest: what decides, without a build, whether an image has to be built again.

As in pulumi-docker: the Dockerfile by content, every file of the context that ``.dockerignore`` leaves by
name, mode and content, a link by its target. Times and owners do not count.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path


def digest(context: Path, dockerfile: Path) -> str:
    """SHA-256 (hex) of the context as the builder sees it. Raises OSError when a file cannot be read."""
    total = hashlib.sha256()
    _add(total, "Dockerfile", 0, dockerfile.read_bytes())
    for relative, path in sorted(files(context, patterns(context, dockerfile))):
        mode = path.lstat().st_mode
        content = (
            os.fsencode(path.readlink())
            if stat.S_ISLNK(mode)
            else path.read_bytes()
            if stat.S_ISREG(mode)
            else b""
        )
        _add(total, relative, mode, content)
    return total.hexdigest()


def _add(total: hashlib._Hash, name: str, mode: int, content: bytes) -> None:
    total.update(f"{name}\0{mode:o}\0".encode(errors="surrogateescape"))
    total.update(hashlib.sha256(content).digest())


def patterns(context: Path, dockerfile: Path) -> list[str]:
    """The lines of ``<Dockerfile>.dockerignore``, else of the context's ``.dockerignore``; cleaned, without
    comments.
    """
    for candidate in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
        if candidate.is_file():
            lines = [line.strip() for line in candidate.read_text().splitlines() if not line.startswith("#")]
            return [_cleaned(line) for line in lines if line]
    return []


def _cleaned(line: str) -> str:
    negated, rest = line.startswith("!"), line.removeprefix("!").strip()
    path = os.path.normpath(rest).removeprefix("/") if rest != "/" else "."
    return f"!{path}" if negated else path


def files(context: Path, ignore: list[str]) -> Iterator[tuple[str, Path]]:
    """Every file of the context that is not ignored, with its path relative to the context."""
    rules = [
        (pattern.startswith("!"), _expression(pattern.removeprefix("!")))
        for pattern in ignore
        if pattern != "."
    ]
    readmits = any(negated for negated, _ in rules)
    for folder, folders, names in os.walk(context):
        base = os.path.relpath(folder, context)
        prefix = "" if base == "." else f"{base}/"
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in [*names, *links]:
            if not _ignored(prefix + name, rules):
                yield prefix + name, Path(folder) / name
        # A rule that takes something back in may reach into an ignored folder.
        folders[:] = [n for n in folders if n not in links and (readmits or not _ignored(prefix + n, rules))]


def _ignored(path: str, rules: list[tuple[bool, re.Pattern[str]]]) -> bool:
    """The last rule that matches the path, or a folder above it, decides."""
    parts = path.split("/")
    parents = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    verdict = False
    for negated, expression in rules:
        if any(expression.fullmatch(parent) for parent in parents):
            verdict = not negated
    return verdict


def _expression(pattern: str) -> re.Pattern[str]:
    """A ``.dockerignore`` pattern: ``**`` is any number of folders, ``*`` and ``?`` stay within one name."""
    out, i = "", 0
    while i < len(pattern):
        if pattern.startswith("**", i):
            i += 2
            if pattern.startswith("/", i):
                out, i = out + "(?:.*/)?", i + 1
            else:
                out += ".*"
        elif pattern[i] == "*":
            out, i = out + "[^/]*", i + 1
        elif pattern[i] == "?":
            out, i = out + "[^/]", i + 1
        elif pattern[i] == "[" and "]" in pattern[i + 2 :]:
            end = pattern.index("]", i + 2)
            out, i = out + pattern[i : end + 1], end + 1
        elif pattern[i] == "\\" and i + 1 < len(pattern):
            out, i = out + re.escape(pattern[i + 1]), i + 2
        else:
            out, i = out + re.escape(pattern[i]), i + 1
    return re.compile(out)
