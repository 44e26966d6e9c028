"""What is mounted below the platform's folders: one reader of the kernel's list, for all who take mounts away."""

from __future__ import annotations

from pathlib import Path


def below(*roots: Path) -> list[str]:
    """Mount points below these folders, in the order in which they were mounted."""
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [point for point in points if any(point.startswith(f"{root}/") for root in roots)]
