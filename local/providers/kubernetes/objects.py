"""Pure rules about Kubernetes objects: names, pruning, comparing, what goes into the state.

Works on plain dictionaries; speaks to nobody.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiffKind

from local.providers.kubernetes.kinds import Kind
from local.providers.values import UNKNOWN, Properties, at, autoname, changes, marked, wrap

Json = dict[str, Any]

AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
PATCH_FORCE = "pulumi.com/patchForce"
REPLACE_UNREADY = "pulumi.com/replaceUnready"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
DELETION_PROPAGATION = "pulumi.com/deletionPropagationPolicy"

_READ_ONLY = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
]
_QUANTITIES = {"requests", "limits", "capacity", "hard", "sizeLimit"}
_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def metadata(obj: Mapping[str, Any]) -> Json:
    """The object's metadata; empty when it has none or it is not known yet."""
    found = obj.get("metadata")
    return found if isinstance(found, dict) else {}


def annotation(obj: Mapping[str, Any], key: str) -> str:
    annotations = metadata(obj).get("annotations")
    return str(annotations.get(key, "")) if isinstance(annotations, dict) else ""


def object_id(obj: Mapping[str, Any]) -> str:
    """``namespace/name``, or ``name`` for what has no namespace."""
    data = metadata(obj)
    return f"{data['namespace']}/{data['name']}" if data.get("namespace") else str(data["name"])


def with_name(inputs: Json, old: Mapping[str, Any], logical: str, seed: bytes) -> Json:
    """The inputs with a name: their own, the autoname that the old inputs have, or a new one (marked by an
    annotation).
    """
    if metadata(inputs).get("name") or inputs.get("metadata") == UNKNOWN:
        return inputs
    named = copy.deepcopy(inputs)
    data = named.setdefault("metadata", {})
    data["name"] = (
        metadata(old)["name"]
        if annotation(old, AUTONAMED) == "true" and metadata(old).get("name")
        else autoname(seed, logical)
    )
    if data.get("annotations") != UNKNOWN:
        data["annotations"] = {**(data.get("annotations") or {}), AUTONAMED: "true"}
    return named


def without_read_only(obj: Mapping[str, Any]) -> Json:
    """A copy without the metadata that only the server writes."""
    cleaned = copy.deepcopy(dict(obj))
    for key in _READ_ONLY:
        metadata(cleaned).pop(key, None)
    return cleaned


def prune(live: Any, shape: Any) -> Any:
    """The part of ``live`` that ``shape`` speaks of: what the server filled in is nobody's drift."""
    if isinstance(live, dict) and isinstance(shape, dict):
        return {key: prune(live[key], shape[key]) for key in shape if key in live}
    if isinstance(live, list) and isinstance(shape, list):
        return [prune(item, shape[i]) if i < len(shape) else item for i, item in enumerate(live)]
    return copy.deepcopy(live)


def quantity(text: Any) -> Decimal | None:
    """A Kubernetes quantity in base units (``500m`` is 0.5, ``1Ki`` is 1024); None when it is none."""
    word = str(text)
    for suffix, power in _BINARY.items():
        if word.endswith(suffix):
            return _decimal(word[:-2], Decimal(1024) ** power)
    tail = word[-1:] if word[-1:] in _SUFFIXES else ""
    return _decimal(word[: len(word) - len(tail)], Decimal(10) ** _SUFFIXES[tail])


def _decimal(digits: str, factor: Decimal) -> Decimal | None:
    try:
        return Decimal(digits) * factor
    except InvalidOperation:
        return None


def _same(path: str, old: Any, new: Any) -> bool:
    """Equal in meaning: ``1024Mi`` is stored as ``1Gi``."""
    if not _QUANTITIES & set(path.replace("[", ".").split(".")):
        return False
    left, right = quantity(old), quantity(new)
    return left is not None and left == right


def differences(kind: Kind, old_inputs: Json, live: Json, new_inputs: Json) -> dict[str, PropertyDiffKind]:
    """What the new inputs would change: they are compared with the live object, seen through the old
    inputs' shape.
    """
    left, right = prune(live, normalized(old_inputs)), without_read_only(normalized(new_inputs))
    left = without_read_only(left)
    for side in (left, right):
        data = side.setdefault("metadata", {})
        if not isinstance(data, dict):
            continue
        if kind.namespaced:
            data["namespace"] = data.get("namespace") or "default"
        else:
            data.pop("namespace", None)
        # A key that is there and empty says nothing (`labels: {}`); the server does not keep it.
        for key in ("labels", "annotations"):
            if not data.get(key):
                data.pop(key, None)
    if isinstance(left["metadata"], dict) and metadata(live).get("name"):
        left["metadata"]["name"] = metadata(live)["name"]
    for key in ("apiVersion", "kind"):  # the type token fixes them
        left.pop(key, None)
        right.pop(key, None)
    return _without_empty(changes(left, right, same=_same), right)


def normalized(inputs: Mapping[str, Any]) -> Json:
    """The inputs as the server stores them: a Secret's ``stringData`` is part of ``data``, a volume's empty
    class is none.
    """
    answer = copy.deepcopy(dict(inputs))
    strings, spec = answer.get("stringData"), answer.get("spec")
    if answer.get("kind") == "Secret" and isinstance(strings, dict):
        data = answer.get("data") or {}
        if data != UNKNOWN:
            answer["data"] = {**data, **{key: _encoded(value) for key, value in strings.items()}}
            del answer["stringData"]
    if (
        answer.get("kind") == "PersistentVolume"
        and isinstance(spec, dict)
        and spec.get("storageClassName") == ""
    ):
        # Applied, it would be owned and yet not be there: the next manager's apply would conflict with nothing.
        del spec["storageClassName"]
    return answer


def _encoded(value: Any) -> str:
    return UNKNOWN if value == UNKNOWN else base64.b64encode(str(value).encode()).decode()


def _without_empty(found: dict[str, PropertyDiffKind], new: Json) -> dict[str, PropertyDiffKind]:
    """Drop additions of what the server does not store (an empty list, ``readOnly: false``)."""
    return {
        path: kind
        for path, kind in found.items()
        if kind != PropertyDiffKind.ADD or at(new, path) not in ("", False, 0, [], {})
    }


def checkpoint(
    inputs: Json, live: Mapping[str, Any], like: Mapping[str, PropertyValue], field_manager: str
) -> Properties:
    """The state to store: the live object, the inputs it came from, and who manages its fields; secrets
    stay secret.
    """
    visible = copy.deepcopy(dict(live))
    metadata(visible).pop("managedFields", None)
    state = {key: wrap(value) for key, value in visible.items()}
    state = secrets_marked(state, like)
    kept = secrets_marked({key: wrap(value) for key, value in inputs.items()}, like)
    state["__inputs"] = PropertyValue(kept)
    state["__initialApiVersion"] = wrap(inputs.get("apiVersion", ""))
    state["__fieldManager"] = wrap(field_manager)
    return state


def secrets_marked(values: Properties, like: Mapping[str, PropertyValue]) -> Properties:
    """Mark what is secret in the inputs; of a Secret always the data."""
    answer = marked(values, like)
    kind = values.get("kind")
    if kind is not None and kind.value == "Secret":
        for key in ("data", "stringData"):
            if key in answer:
                answer[key] = answer[key].with_secret(True)
    return answer
