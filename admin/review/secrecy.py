"""What may not be shown, and how it is taken out of a preview before anything else looks at it.

Four nets, each of which would do for the usual case: what the engine marks as secret, what lies under a name that
secrets have, the data of Kubernetes Secrets, and every known secret's own text wherever it stands. Pure.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import quote

# pulumi's sdk/go/common/resource/sig: marks objects that are no plain ones in JSON
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 (a public constant)
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
# what stands for values that only the update will know, by type (pulumi's sdk/go/common/resource/plugin/rpc.go)
UNKNOWNS = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
        "[computed]",
    }
)

_SECRET_NAME = re.compile(
    r"(?i)^(.*[-_.]?(password|passwd|passphrase|private[-_]?key|client[-_]?secret|secret[-_]?key|api[-_]?token|"
    r"auth[-_]?token|access[-_]?token|robot[-_]?token|control[-_]?token|cookie[-_]?secret|kubeconfig)"
    r"|token|secret|tls\.key|\.dockerconfigjson|__inputs)$"
)
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]+@")
_BEARER = re.compile(r"\b([Bb]earer|[Bb]asic)\s+[A-Za-z0-9._~+/=-]{20,}")
_PEM_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
SHORTEST = 4
"""Characters. Shorter secrets are masked where they are a whole value, not inside of other text."""


class Hidden(Enum):
    """What stands where a value is not shown."""

    SECRET = "[secret]"  # noqa: S105 (what the engine writes too)
    UNKNOWN = "known after the update"


class Scrubber:
    """Takes known secrets out of any text: plain, by line, base64, JSON-quoted and URL-quoted."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """``secrets``: the plain values; empty ones are passed over."""
        whole = {secret for secret in secrets if secret.strip()}
        self._whole = frozenset({*whole, *(secret.strip() for secret in whole)})
        forms: set[str] = set()
        for secret in self._whole:
            parts = {secret} | {line.strip() for line in secret.splitlines() if len(line.strip()) >= 16}
            for part in parts:
                raw = part.encode()
                forms |= {part, quote(part, safe=""), json.dumps(part)[1:-1]}
                forms |= {json.dumps(part, ensure_ascii=False)[1:-1]}
                if len(raw) >= 8:  # inside of a longer base64 text a value has one of three looks
                    forms |= {_inner_base64(raw, shift) for shift in range(3)}
                forms |= {base64.b64encode(raw).decode().rstrip("=")}
        usable = sorted({form for form in forms if len(form) >= SHORTEST}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, usable))) if usable else None

    def text(self, text: str) -> str:
        """The text without secrets, URL logins, authorization headers and private keys."""
        if text in self._whole:
            return Hidden.SECRET.value
        if self._pattern:
            text = self._pattern.sub(Hidden.SECRET.value, text)
        text = _PEM_KEY.sub(Hidden.SECRET.value, text)
        text = _USERINFO.sub(rf"\1{Hidden.SECRET.value}@", text)
        return _BEARER.sub(rf"\1 {Hidden.SECRET.value}", text)

    def tree(self, value: Any, *, name: str = "") -> Any:
        """A JSON tree with Hidden.SECRET and Hidden.UNKNOWN where the engine or this class sees one."""
        if isinstance(value, str):
            if value in UNKNOWNS:
                return Hidden.UNKNOWN
            if value == Hidden.SECRET.value or (value and _SECRET_NAME.match(name)):
                return Hidden.SECRET
            clean = self.text(value)
            return Hidden.SECRET if clean == Hidden.SECRET.value else clean
        if isinstance(value, (int, float)) and not isinstance(value, bool) and _SECRET_NAME.match(name):
            return Hidden.SECRET
        if isinstance(value, list):
            return [self.tree(item, name=name) for item in value]
        if not isinstance(value, dict):
            return value
        if SIGNATURE in value:
            return self._marked(value, name)
        if value.get("kind") == "Secret" and "apiVersion" in value:
            value = {k: _sealed(v) if k in ("data", "stringData") else v for k, v in value.items()}
        # an entry of a container's environment: its name is beside its value
        named = str(value.get("name", "")) if isinstance(value.get("value"), str) else ""
        return {
            self.text(str(key)): self.tree(item, name=named if named and key == "value" else str(key))
            for key, item in value.items()
        }

    def _marked(self, value: Mapping[str, Any], name: str) -> Any:
        if value[SIGNATURE] == SECRET_SIGNATURE:
            return Hidden.SECRET
        if value[SIGNATURE] == OUTPUT_SIGNATURE:
            if value.get("secret"):
                return Hidden.SECRET
            return self.tree(value["value"], name=name) if "value" in value else Hidden.UNKNOWN
        return {
            key: self.tree(item, name=key) for key, item in value.items() if key in ("hash", "path", "urn")
        }


def _sealed(data: Any) -> Any:
    """A Secret's data: which keys it has may be seen, what they hold not."""
    if isinstance(data, dict) and SIGNATURE not in data:
        return dict.fromkeys(data, Hidden.SECRET.value)
    return Hidden.SECRET.value


def _inner_base64(raw: bytes, shift: int) -> str:
    """What all base64 texts have in common that hold ``raw`` at an offset of ``shift`` modulo 3."""
    padded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
    start = -(-shift * 8 // 6)
    end = len(padded) - (1 if (shift + len(raw)) % 3 else 0)
    return padded[start:end]
