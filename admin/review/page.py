"""The report: a preview as Markdown that fits into one comment of GitHub. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator

from admin.review.impact import Weight, notices, summary
from admin.review.model import Preview, Property, Step
from admin.review.paths import ABSENT
from admin.review.secrecy import Hidden
from admin.review.text import change, code, count, escape, fence, listed, plain, shorten

MARKER = "<!-- thinkube-jupyterhub review: {stack} -->"
LIMIT = 65_000
"""Bytes. GitHub takes 65,536 characters in a comment; bytes are never fewer."""
_PROPERTIES = 4  # of one resource in the table
_LINE = 400  # characters of one line of the full diff
_TABLE_SHARE = 0.6  # of the limit, so that something of the diff is shown too
_UNNOTICED = "- Nothing: no server, no login and no file is touched."
_HEAD = "| component | resource | what happens | why, or from → to |\n| --- | --- | --- | --- |"
_WORDS = {
    "create": "created",
    "import": "taken over",
    "update": "updated",
    "replace": "**replaced**",
    "delete": "**deleted**",
    "kept": "kept, but no longer in the stack",
}
_ICONS = {Weight.DANGER: "🛑", Weight.NOTICE: "⚠️", Weight.QUIET: "ℹ️"}  # noqa: RUF001 (the sign is meant)


def page(preview: Preview, limit: int = LIMIT) -> str:
    """Return the report, at most ``limit`` bytes of UTF-8 (at least 2,000); what does not fit is counted in a note."""
    sections = [MARKER.format(stack=escape(preview.stack)), f"### {verdict(preview)}"]
    if preview.failed:
        sections.append("\n".join(_failure(preview)))
    if preview.steps:
        found = notices(preview)
        told = [f"- {_ICONS[notice.weight]} {notice.text}" for notice in found] or [_UNNOTICED]
        sections.append(
            _fitting("#### What users would notice", told, int(limit * 0.3), "more such lines left out")
        )
        head = f"#### What changes\n\n{_HEAD}"
        rows = [_row(step) for step in ordered(preview.steps)]
        room = int(limit * _TABLE_SHARE) - _bytes("\n\n".join(sections))
        sections.append(_fitting(head, rows, room, "more rows left out", separator="\n"))
    if preview.warnings:
        lines = [f"- {escape(shorten(text, 300))}" for text in preview.warnings[:10]]
        sections.append("#### Warnings\n\n" + "\n".join(lines))
    text = "\n\n".join(sections) + "\n"
    diff = list(full_diff(preview))
    room = limit - _bytes(text)
    if diff and room > 600:
        text += "\n" + _details(diff, room - 1) + "\n"
    return _cut(text, limit)


def verdict(preview: Preview) -> str:
    """Return the one line that says it all, in Markdown."""
    stack = code(preview.stack)
    if preview.failed:
        return f"❌ Stack {stack}: the update would fail: {escape(shorten(_sentence(preview), 300))}"
    if not preview.steps:
        return f"✅ Stack {stack}: nothing changes"
    counted = Counter("kept" if step.op == "delete" and step.kept else step.op for step in preview.steps)
    counts = [f"{counted[op]} {word.strip('*')}" for op, word in _WORDS.items() if counted[op]]
    extra = summary(preview)
    changes = count(len(preview.steps), "change")
    return f"Stack {stack}: {changes} ({', '.join(counts)}){': ' if extra else ''}{', '.join(extra)}"


def ordered(steps: tuple[Step, ...]) -> list[Step]:
    """The steps by component, each component where its first step stands."""
    components = list(dict.fromkeys(step.component for step in steps))
    return sorted(steps, key=lambda step: components.index(step.component))


def full_diff(preview: Preview) -> Iterator[str]:
    """Lines of the whole difference, like a diff's."""
    signs = {"create": "+", "import": "+", "delete": "-", "replace": "!", "update": "~"}
    for step in ordered(preview.steps):
        kept = " (kept in the cluster)" if step.kept else ""
        yield f"{signs[step.op]} {step.component} / {step.type} {step.name}: {_WORDS[step.op].strip('*')}{kept}"
        for item in step.properties:
            for sign, line in _property(item):
                yield f"{sign}   {shorten(line, _LINE)}"


def _sentence(preview: Preview) -> str:
    lines = [line.strip(" -") for line in preview.errors[0].splitlines() if line.strip()]
    # "wrong stack configuration", then one line per fault: the first fault says more than the headline
    return f"{lines[0]}: {lines[1]}" if len(lines) > 1 and len(lines[0]) < 60 else lines[0]


def _failure(preview: Preview) -> Iterator[str]:
    yield "Nothing is touched by a preview. What the engine says:"
    yield ""
    lines = [shorten(line, _LINE) for text in preview.errors for line in text.splitlines()]
    cut = [f"... and {len(lines) - 40} lines more"] if len(lines) > 40 else []
    yield fence(lines[:40] + cut, "text")


def _row(step: Step) -> str:
    what = _WORDS[step.op]
    if step.kept:
        what = _WORDS["kept"] if step.op == "delete" else f"{what}, the old one kept"
    cells = [escape(step.component), f"{escape(_kind(step))} {code(step.name)}", what, _why(step)]
    return "| " + " | ".join(cells) + " |"


def _kind(step: Step) -> str:
    return f"provider {step.kind}" if step.type.startswith("pulumi:providers:") else step.kind


def _why(step: Step) -> str:
    items = [f"{code(item.name)}: {change(item.old, item.new)}" for item in step.properties]
    text = "<br>".join(items[:_PROPERTIES])
    if len(items) > _PROPERTIES:
        text += f"<br>and {len(items) - _PROPERTIES} more"
    if step.op == "replace":
        reasons = listed([code(reason) for reason in step.reasons])
        how = "the new one first" if step.autonamed else "the old one goes first"
        text = f"because of {reasons or 'its identity'} ({how})" + (f"<br>{text}" if text else "")
    return text


def _property(item: Property) -> Iterator[tuple[str, str]]:
    """Sign and text of each line that tells one property's change."""
    lines = [isinstance(side, str) and "\n" in side for side in (item.old, item.new)]
    if any(lines) and isinstance(item.old, str) and isinstance(item.new, str):
        yield " ", f"{item.name}:"
        told = difflib.unified_diff(item.old.splitlines(), item.new.splitlines(), n=1, lineterm="")
        yield from ((line[:1], f"  {line[1:]}") for line in list(told)[2:])
    elif item.old is Hidden.SECRET or item.new is Hidden.SECRET:
        yield " ", f"{item.name}: secret, not shown"
    else:
        for sign, side, long in (("-", item.old, lines[0]), ("+", item.new, lines[1])):
            if long:
                yield sign, f"{item.name}: text of {count(len(side.splitlines()), 'line')}"
            elif side is not ABSENT:
                yield sign, f"{item.name}: {plain(side)}"


def _details(diff: list[str], room: int) -> str:
    """The diff, collapsed, in at most ``room`` bytes."""
    frame = "<details><summary>Full diff</summary>\n\n{}\n\n</details>"
    shown = len(diff)
    while True:
        lines = diff[:shown]
        if shown < len(diff):
            lines = [*lines, f"... cut here: {len(diff) - shown} lines more, see `pulumi preview --diff`"]
        text = frame.format(fence(lines, "diff"))
        size = _bytes(text)
        if size <= room or shown == 0:
            return text if size <= room else ""
        shown = min(shown - 1, shown * room // size)


def _fitting(head: str, lines: list[str], room: int, note: str, separator: str = "\n\n") -> str:
    """The lines under their headline, as many as fit into ``room`` bytes."""
    taken: list[str] = []
    size = _bytes(head)
    for line in lines:
        size += _bytes(line) + 1
        if size > room and taken:
            break
        taken.append(line)
    text = head + separator + "\n".join(taken)
    return text + (f"\n\n*{len(lines) - len(taken)} {note}.*" if len(taken) < len(lines) else "")


def _cut(text: str, limit: int) -> str:
    """The last net; whole lines, so that no entity is broken."""
    if _bytes(text) <= limit:
        return text
    note = "\n\n*Cut here: too long for one comment.*\n"
    head = text.encode()[: limit - _bytes(note)].decode(errors="ignore")
    return head.rpartition("\n")[0] + note


def _bytes(text: str) -> int:
    return len(text.encode())
