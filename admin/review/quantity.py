"""Kubernetes quantities, as far as sizes of storage need them. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_UNITS = {"": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([kMGTPE]?)(i?)")


def size(text: Any) -> Decimal | None:
    """Return the bytes of "20Gi", "1.5T", "100"; None for anything else."""
    match = _QUANTITY.fullmatch(text.replace("Ki", "ki")) if isinstance(text, str) else None
    if match is None:
        return None
    number, unit, binary = match.groups()
    step = Decimal(1024) ** (_UNITS[unit] // 3) if binary else Decimal(10) ** _UNITS[unit]
    return Decimal(number) * step


def shrinks(old: Any, new: Any) -> bool:
    """True if both are sizes and the second is the smaller one."""
    before, after = size(old), size(new)
    return before is not None and after is not None and after < before
