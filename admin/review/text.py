"""Words and values as Markdown that cannot be anything else. Pure.

A value is never trusted: whoever opens a pull request writes image names, labels and configuration. Each character
that Markdown, HTML or GitHub (mentions, issue links, emoji, mathematics) could act on becomes a numeric entity, which
by CommonMark (https://spec.commonmark.org/current/#entity-and-numeric-character-references) cannot start a structure.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

from admin.review.paths import ABSENT
from admin.review.secrecy import Hidden

SHORT = 80
"""Characters of a value in a table."""
_PLAIN = re.compile(r"[A-Za-z0-9 ./,;='\"()%+?-]")
_WEB = re.compile(r"(?i)\bwww\.")


def escape(text: str) -> str:
    """The text as one line of Markdown that shows just that text."""
    out = []
    for char in text.replace("\r\n", "\n"):
        if _PLAIN.match(char):
            out.append(char)
        elif char in "\n\r\t":
            out.append(" ")
        elif char.isalpha() and char.isprintable():
            out.append(char)
        elif char.isprintable():
            out.append(f"&#{ord(char)};")
        else:  # control characters and those that turn the reading direction
            out.append(f"&#92;u{ord(char):04x}")
    line = _WEB.sub("www&#46;", "".join(out)).strip()
    return re.sub(r"^([+-])|^(\d+)([.)])", lambda m: _entities(m.group(0)), line)


def code(text: str, limit: int = SHORT) -> str:
    """The text as inline code, shortened to ``limit`` characters."""
    return f"<code>{escape(shorten(text, limit)) or '&quot;&quot;'}</code>"


def shorten(text: str, limit: int = SHORT) -> str:
    """The text, its middle left out where it is longer than ``limit`` characters."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    return f"{text[:head]} … {text[len(text) - (limit - head - 3) :]}"


def plain(value: Any) -> str:
    """A value as text: what is hidden by its name, JSON for what is no text."""
    if isinstance(value, Hidden):
        return value.value
    if value is ABSENT:
        return "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=plain)


def value(value: Any) -> str:
    """A value as inline code; what is hidden or absent in italics."""
    if isinstance(value, Hidden) or value is ABSENT:
        return f"*{escape(plain(value))}*"
    if isinstance(value, str) and "\n" in value:
        return f"text of {count(len(value.splitlines()), 'line')}"
    return code(plain(value))


def change(old: Any, new: Any) -> str:
    """Old and new of a property in a few words; texts of several lines by how many of them change."""
    if old is Hidden.SECRET or new is Hidden.SECRET:
        return "*secret, not shown*"
    if isinstance(old, str) and isinstance(new, str) and "\n" in old + new:
        # not ndiff: it looks for likeness within lines, which takes minutes for long texts
        told = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""))[2:]
        added, removed = (sum(line.startswith(sign) for line in told) for sign in "+-")
        return f"text, {count(added, 'line')} added, {removed} removed"
    return f"{value(old)} → {value(new)}"


def fence(lines: list[str], language: str) -> str:
    """The lines as a code block whose fence is longer than any that they could hold."""
    body = "\n".join(
        "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in line) for line in lines
    )
    ticks = max([2, *(len(run) for run in re.findall(r"`+", body))]) + 1
    return f"{'`' * ticks}{language}\n{body}\n{'`' * ticks}"


def count(number: int, one: str, many: str = "") -> str:
    """ "1 image", "3 images"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def listed(words: list[str], limit: int = 6) -> str:
    """The words with commas; what is more than ``limit`` is counted."""
    shown = list(words[:limit])
    return ", ".join(shown) + (f" and {len(words) - limit} more" if len(words) > limit else "")


def _entities(text: str) -> str:
    return "".join(f"&#{ord(char)};" for char in text)
