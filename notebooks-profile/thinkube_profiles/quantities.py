"""Amounts of CPU and memory: reading what others write, writing what people read. No I/O.

CPU is counted in cores (float), memory in bytes (int), everywhere in this package.
"""

from __future__ import annotations

import re
from typing import TypeGuard

GIB = 2**30
"""Bytes of what settings and pages call a GB: KubeSpawner's and Kubernetes' sizes are binary, so is ours."""

_UNITS = {
    "": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
_MEMORY = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)([kKMGTP]i?|)", re.ASCII)
_CPU = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(m?)", re.ASCII)
_MOST_CORES = 1_000_000


def parse_memory(value: object) -> int:
    """Bytes of a Kubernetes quantity (`31Gi`, `65012Mi`, `0`) or of a plain number of bytes.

    Raises ValueError, with a sentence, for anything else: other types, booleans, negative or endless numbers.
    """
    if isinstance(value, str):
        if match := _MEMORY.fullmatch(value):
            return int(float(match[1]) * _UNITS[match[2]])
    elif _is_number(value) and 0 <= value <= 2**60:
        return int(value)
    raise ValueError(f"{_short(value)} is no amount of memory")


def parse_cpu(value: object) -> float:
    """Cores of a number (`15.5`) or of a Kubernetes quantity (`1500m`). Raises ValueError as
    `parse_memory`.
    """
    if isinstance(value, str):
        if match := _CPU.fullmatch(value):
            return float(match[1]) / (1000 if match[2] else 1)
    elif _is_number(value) and 0 <= value <= _MOST_CORES:
        return float(value)
    raise ValueError(f"{_short(value)} is no amount of CPU")


def cores_text(cores: float) -> str:
    """`1 core`, `2 cores`, `0.5 cores`."""
    return f"{cores:g} core{'' if cores == 1 else 's'}"


def memory_text(count: int) -> str:
    """Bytes as GB with one decimal at most: `4 GB`, `63.5 GB`."""
    return f"{round(count / GIB, 1):g} GB"


def age_text(seconds: float) -> str:
    """An age as people say it: `7 s`, `3 min`, `2 h`."""
    if seconds < 100:
        return f"{max(0, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{round(seconds / 3600)} h"


def _is_number(value: object) -> TypeGuard[int | float]:
    # bool is an int to Python, but `"cpu": true` is somebody's mistake. NaN fails the caller's comparison.
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: object) -> str:
    return repr(value) if len(repr(value)) <= 40 else f"{repr(value)[:40]}..."
