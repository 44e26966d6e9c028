"""All checks in the order in which they run and are shown: what others need comes first."""

from __future__ import annotations

from admin.errors import AdminError
from admin.verify import api, discovery, examples, gpu, hub, identity, images, server, storage, tls
from admin.verify.model import Check

_ROOMS = (api, storage, identity, images, tls, hub, discovery, examples, gpu, server)
CHECKS: tuple[Check, ...] = tuple(check for room in _ROOMS for check in room.check.checks)


def chosen(only: str) -> tuple[Check, ...]:
    """The checks that `only` names (codes or beginnings of codes, by comma; "" is all), with what they need.

    Raises AdminError for a name that fits none.
    """
    names = [name.strip().upper() for name in only.split(",") if name.strip()]
    if not names:
        return CHECKS
    wanted: set[str] = set()
    for name in names:
        fitting = {check.code for check in CHECKS if check.code == name or check.code.startswith(f"{name}-")}
        if not fitting:
            raise AdminError(
                f"--only {name}: there is no such check. Codes: {', '.join(check.code for check in CHECKS)}."
            )
        wanted |= fitting
    for check in reversed(CHECKS):  # a check needs only what comes before it
        if check.code in wanted:
            wanted |= set(check.needs)
    return tuple(check for check in CHECKS if check.code in wanted)
