"""A preview as data: which resources change, which properties, and what went wrong.

Made from the JSON of `pulumi preview --json` (pulumi's display/json.go), secrets taken out on the way. Knows the
engine's operations and the look of this program's resource names, no resource type. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from admin.review import paths
from admin.review.paths import ABSENT, Path
from admin.review.secrecy import Hidden, Scrubber

# the engine's operations (pulumi's deploy/step.go) by what a reader wants to know
_OPERATIONS = {
    "create": "create",
    "import": "import",
    "update": "update",
    "refresh": "update",
    "delete": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "import-replacement": "replace",
}
_NOISE = re.compile(
    r"from \$PATH at|^an unhandled error occurred: program exited|^preview failed$|^update failed$"
)


@dataclass(frozen=True)
class Property:
    """One property that changes; values may be Hidden or ABSENT."""

    path: Path
    old: Any
    new: Any
    replaces: bool = False

    @property
    def name(self) -> str:
        """The path as text."""
        return paths.show(self.path)


@dataclass(frozen=True)
class Step:
    """What would happen to one resource."""

    op: str
    """create, import, update, replace or delete"""
    urn: str
    type: str
    properties: tuple[Property, ...]
    reasons: tuple[str, ...]
    """paths that make it a replacement"""
    kept: bool
    """taken out of the stack only: the object itself stays (retain_on_delete)"""
    old: Mapping[str, Any]
    """inputs as they are, without secrets; empty for what is new"""
    new: Mapping[str, Any]
    """inputs as they would be; empty for what goes"""

    @property
    def name(self) -> str:
        """The logical name."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def component(self) -> str:
        """The component it belongs to, e.g. "JupyterHub"; "Stack" for what stands outside of all."""
        chain = self.urn.split("::")[2].split("$") if self.urn.count("::") >= 3 else []
        owners = [kind for kind in chain if kind.startswith("thinkube:")]
        return owners[0].rpartition(":")[2] if owners else "Stack"

    @property
    def kind(self) -> str:
        """The type without its package, e.g. "ConfigMap"."""
        return self.type.rpartition(":")[2]

    @property
    def object_name(self) -> str:
        """What the thing itself is called, as far as that is known; else the logical name."""
        for tree in (self.new, self.old):
            name = paths.at(tree, ("metadata", "name"))
            if isinstance(name, str) and name:
                return name
        return self.name

    @property
    def autonamed(self) -> bool:
        """True where the provider picks a new name: the new object is there before the old one goes."""
        mark = ("metadata", "annotations", "pulumi.com/autonamed")
        return any(paths.at(tree, mark) == "true" for tree in (self.new, self.old))


@dataclass(frozen=True)
class Preview:
    """Everything that a report is made of."""

    stack: str
    steps: tuple[Step, ...]
    unchanged: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """True if an update would fail before it begins."""
        return bool(self.errors)

    def of(self, op: str) -> list[Step]:
        """The steps with this operation."""
        return [step for step in self.steps if step.op == op]


def read_preview(document: Mapping[str, Any], stack: str, scrubber: Scrubber) -> Preview:
    """Return the preview in `document`; unknown keys and operations are passed over."""
    found: dict[str, Step] = {}
    same = 0
    for raw in document.get("steps") or []:
        step = _step(raw, scrubber)
        if step is None:
            same += raw.get("op") == "same"
        elif step.urn in found:
            found[step.urn] = _joined(found[step.urn], step)
        else:
            found[step.urn] = step
    summary = document.get("changeSummary") or {}
    said = list(_diagnostics(document.get("diagnostics") or [], scrubber))
    return Preview(
        stack=scrubber.text(stack),
        steps=tuple(found.values()),
        unchanged=int(summary.get("same", same)),
        errors=tuple(dict.fromkeys(text for severity, text in said if severity == "error")),
        warnings=tuple(dict.fromkeys(text for severity, text in said if severity == "warning")),
    )


def failure(stack: str, sentence: str, scrubber: Scrubber) -> Preview:
    """Return a preview that did not even begin."""
    text = _clean(sentence, scrubber) or "pulumi preview gave no answer"
    return Preview(scrubber.text(stack), (), 0, (text,), ())


def _step(raw: Mapping[str, Any], scrubber: Scrubber) -> Step | None:
    before, after = raw.get("oldState") or {}, raw.get("newState") or {}
    state = after or before
    urn = str(raw.get("urn") or state.get("urn") or "")
    kind = str(state.get("type") or (urn.split("::")[2].rpartition("$")[2] if urn.count("::") >= 3 else ""))
    op = _OPERATIONS.get(str(raw.get("op")))
    # the stack and the components are names for groups; nothing of them is in the world
    if op is None or kind == "pulumi:pulumi:Stack" or kind.startswith("thinkube:"):
        return None
    old, new = (_object(state, kind, scrubber) for state in (before, after))
    outputs = _object({"inputs": before.get("outputs")}, kind, scrubber)
    detailed = raw.get("detailedDiff") or {}
    properties = tuple(_properties(op, detailed, raw.get("diffReasons") or [], old, new, outputs))
    reasons = list(raw.get("replaceReasons") or []) if op == "replace" else []
    return Step(
        op=op,
        urn=scrubber.text(urn),
        type=kind,
        properties=properties,
        reasons=tuple(dict.fromkeys(map(scrubber.text, reasons))),
        kept=bool(before.get("retainOnDelete")) and op in ("delete", "replace"),
        old=old,
        new=new if op != "delete" else {},
    )


def _object(state: Mapping[str, Any], kind: str, scrubber: Scrubber) -> dict[str, Any]:
    """A state's inputs without secrets."""
    inputs = state.get("inputs") or {}
    if kind == "kubernetes:core/v1:Secret":  # whether or not the inputs say so themselves
        inputs = {"apiVersion": "v1", "kind": "Secret", **inputs}
    tree = scrubber.tree(inputs)
    return tree if isinstance(tree, dict) else {}


def _properties(
    op: str,
    detailed: Mapping[str, Any],
    reasons: Iterable[str],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> Iterable[Property]:
    if op not in ("update", "replace"):
        return
    listed: dict[Path, bool] = {}
    for text, entry in detailed.items():
        listed[paths.parse(text)] = str((entry or {}).get("kind", "")).endswith("replace")
    if not listed:  # a provider without detailed diffs: what differs between the inputs
        listed = dict.fromkeys(paths.differences(old, new), False)
        known = {path[:1] for path in listed}
        listed |= {(reason,): False for reason in reasons if (reason,) not in known}
    for path, replaces in sorted(listed.items(), key=lambda item: [str(step) for step in item[0]]):
        before = paths.at(old, path)
        if before is ABSENT:
            before = paths.at(outputs, path)
        after = paths.at(new, path)
        if _sealed(old, path) or _sealed(new, path):
            before = after = Hidden.SECRET
        yield Property(path, before, after, replaces)


def _sealed(tree: Any, path: Path) -> bool:
    """True if the path leads into something that is a secret as a whole."""
    return any(paths.at(tree, path[:length]) is Hidden.SECRET for length in range(1, len(path) + 1))


def _joined(one: Step, other: Step) -> Step:
    """Two steps of one resource are one replacement, told in parts."""
    full = other if len(other.properties) > len(one.properties) else one
    op = "replace" if "replace" in (one.op, other.op) or one.op != other.op else one.op
    return Step(
        op=op,
        urn=one.urn,
        type=one.type,
        properties=full.properties,
        reasons=tuple(dict.fromkeys(one.reasons + other.reasons)),
        kept=one.kept or other.kept,
        old=one.old or other.old,
        new=one.new or other.new,
    )


def _diagnostics(raw: Iterable[Mapping[str, Any]], scrubber: Scrubber) -> Iterable[tuple[str, str]]:
    for entry in raw:
        severity = str(entry.get("severity", "")).removeprefix("info#")
        text = _clean(str(entry.get("message", "")), scrubber)
        if (
            severity in ("error", "warning")
            and text
            and not entry.get("ephemeral")
            and not _NOISE.search(text)
        ):
            name = str(entry.get("urn") or "").rsplit("::", 1)[-1]
            # what the program itself says carries the stack's name, which tells nothing
            about = (
                scrubber.text(name) if name and not str(entry["urn"]).count("pulumi:pulumi:Stack::") else ""
            )
            yield severity, f"{about}: {text}" if about and about not in text else text


def _clean(text: str, scrubber: Scrubber) -> str:
    text = re.sub(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m", "", text).strip()
    return scrubber.text(re.sub(r"^(error|warning): ", "", text))
