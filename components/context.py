"""Content-addressed tags: which files of an image folder the build sees, and a hash over all that shapes
the image.

Pure but for reading files. Follows Docker's rules for .dockerignore
(https://docs.docker.com/build/concepts/context/#dockerignore-files): the last matching line decides, `!`
takes back.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

TAG_LENGTH = 16


def image_tag(context: Path, build_args: Mapping[str, str], parent_tag: str = "") -> str:
    """Return the tag of the image that `context` builds: equal if and only if nothing that shapes it differs.

    Covers Dockerfile, every file of the context that .dockerignore lets through (path, executable bit,
    content or link target), build arguments and the parent image's tag. Owner and times do not count:
    checkouts differ in them.
    """
    total = hashlib.sha256()

    def add(*parts: bytes) -> None:
        for part in parts:
            total.update(len(part).to_bytes(8, "big") + part)

    for key, value in sorted(build_args.items()):
        add(b"arg", key.encode(), value.encode())
    add(b"parent", parent_tag.encode())
    # always part of the build, even where .dockerignore hides it from COPY
    add(b"dockerfile", (context / "Dockerfile").read_bytes())
    for path in context_files(context):
        name = path.relative_to(context).as_posix().encode()
        if path.is_symlink():
            add(b"link", name, str(path.readlink()).encode())
        else:
            add(b"file", name, b"x" if path.stat().st_mode & 0o100 else b"-", path.read_bytes())
    return total.hexdigest()[:TAG_LENGTH]


def context_files(context: Path) -> list[Path]:
    """Return the files and links that a build of `context` can see, sorted by path."""
    ignore = context / ".dockerignore"
    rules = parse_ignore(ignore.read_text(encoding="utf-8")) if ignore.is_file() else []
    return [path for path in _walk(context) if not ignored(path.relative_to(context).as_posix(), rules)]


def parse_ignore(text: str) -> list[tuple[re.Pattern[str], bool]]:
    """Return (pattern, ignores) for each rule of a .dockerignore file, in order."""
    rules = []
    for line in text.removeprefix("\ufeff").splitlines():
        pattern = line.strip()
        if line.startswith("#") or not pattern:
            continue
        excepted = pattern.startswith("!")
        pattern = os.path.normpath(pattern.removeprefix("!").strip()).lstrip("/")
        if pattern != ".":
            rules.append((re.compile(_regex(pattern)), not excepted))
    return rules


def ignored(path: str, rules: list[tuple[re.Pattern[str], bool]]) -> bool:
    """True if the rules keep `path` (relative, with `/`) out of the context, itself or by a folder of it."""
    pure = PurePosixPath(path)
    names = [path, *(parent.as_posix() for parent in pure.parents if parent.as_posix() != ".")]
    out = False
    for pattern, ignores in rules:
        if out != ignores and any(pattern.fullmatch(name) for name in names):
            out = ignores
    return out


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)
        else:
            yield entry


def _regex(pattern: str) -> str:
    """Translate one pattern: `**` any number of folders, `*` and `?` within one, `[...]` a class."""
    out, index = "", 0
    while index < len(pattern):
        char = pattern[index]
        if pattern.startswith("**", index):
            index += 2
            if pattern.startswith("/", index):
                index += 1
                out += "(?:.*/)?"
            else:
                out += ".*"
            continue
        if char == "[" and (end := pattern.find("]", index + 1)) > 0:
            out += "[" + pattern[index + 1 : end].replace("\\", "\\\\") + "]"
            index = end + 1
            continue
        if char == "\\" and index + 1 < len(pattern):
            index += 1
            out += re.escape(pattern[index])
        else:
            out += "[^/]*" if char == "*" else "[^/]" if char == "?" else re.escape(char)
        index += 1
    return out
