"""Keeps the facts fresh in the background: the last good answer of each source, and its age.

Owns the one background task of the hub-side code. Nothing here waits inside a user's request: `facts` only
looks at what is there. A source that is slow, away or talks nonsense changes the age of its answer, never
the hub's health.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from .catalogue import Deployed, Listed, NotebookImage, join, parse_catalogue, parse_images
from .quantities import age_text
from .resources import Node, parse_resources
from .rules import Settings
from .sources import CatalogueClient, ControlClient

log = logging.getLogger("jupyterhub.thinkube")
"""Below JupyterHub's own logger, so that its handlers and level apply."""

T = TypeVar("T")


class ControlSource(Protocol):
    """What `ControlClient` offers; tests put their own in its place."""

    async def images(self) -> object: ...
    async def resources(self) -> object: ...
    async def close(self) -> None: ...


class ManifestSource(Protocol):
    """What `CatalogueClient` offers."""

    async def manifest(self) -> str: ...
    async def close(self) -> None: ...


@dataclass(frozen=True)
class Facts:
    """What is known at one moment. `missing` set: nothing may be started, and why; `overdue`: late, but
    still usable.
    """

    nodes: tuple[Node, ...]
    images: tuple[NotebookImage, ...]
    age_seconds: float
    overdue: str | None
    missing: str | None


class Feed(Generic[T]):
    """One question with its last good answer, that answer's time, and what went wrong since."""

    def __init__(
        self,
        service: str,
        ask: Callable[[], Awaitable[object]],
        parse: Callable[[object], tuple[T, tuple[str, ...]]],
    ) -> None:
        """`service`: whom to name to people; `parse`: the value and why parts were dropped, or it raises."""
        self.service = service
        self.value: T | None = None
        self.answered_at: float | None = None
        self.error: str | None = None
        self._ask = ask
        self._parse = parse
        self._dropped: tuple[str, ...] = ()

    async def refresh(self, deadline: float, clock: Callable[[], float]) -> bool:
        """Ask once, within `deadline` seconds; whether the answer was good. Never raises but for
        cancellation.
        """
        try:
            value, dropped = self._parse(await asyncio.wait_for(self._ask(), deadline))
        except Exception as error:
            late = isinstance(error, TimeoutError)
            fault = "no answer in time" if late else f"{type(error).__name__}: {error}"
            # Once per kind of trouble: a service that is away for an hour must not fill the log.
            if fault != self.error:
                state = "no answer so far" if self.answered_at is None else "its last answer stays in use"
                log.warning("%s: %s; %s", self.service, fault[:500], state)
            self.error = fault
            return False
        if self.error:
            log.info("%s answers again", self.service)
        self.value, self.answered_at, self.error = value, clock(), None
        self._dropped = log_new(self.service, dropped, self._dropped)
        return True


class Discovery:
    """All feeds, one task, and the facts that follow from them."""

    def __init__(
        self,
        settings: Settings,
        control: ControlSource | None = None,
        catalogue: ManifestSource | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Does no I/O. `clock` gives seconds that only grow."""
        self._settings = settings.control
        self._default_image = settings.default_image
        self._clock = clock
        self._control = control or ControlClient(settings.control)
        self._manifest = catalogue or CatalogueClient(settings.catalogue, settings.control.deadline_seconds)
        reporter = "thinkube-control (which reports images and free resources)"
        self.resources: Feed[tuple[Node, ...]] = Feed(reporter, self._control.resources, parse_resources)
        self.images: Feed[tuple[Listed, ...]] = Feed(reporter, self._control.images, parse_images)
        self.catalogue: Feed[tuple[Deployed, ...]] = Feed(
            f"the image catalogue (ConfigMap {settings.catalogue.config_map})",
            self._manifest.manifest,
            lambda text: parse_catalogue(str(text)),
        )
        self._task: asyncio.Task[None] | None = None
        self._joined: tuple[NotebookImage, ...] = ()
        self._left_out: tuple[str, ...] = ()

    def ensure_started(self) -> None:
        """Start the background task unless it runs; without a running loop do nothing.

        JupyterHub reads its configuration inside the coroutine that starts the hub, so that there is a
        loop; `jupyterhub token` and the like read it without one, and need no figures. The page and each
        start ask again, which also replaces a task that ended for whatever reason. JupyterHub cancels all
        tasks when it exits.
        """
        if self._task is None or self._task.done():
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._task = loop.create_task(self._keep_asking(), name="thinkube-discovery")

    async def refresh(self) -> bool:
        """Ask all sources once, at the same time; whether all gave good answers."""
        feeds = (self.resources, self.images, self.catalogue)
        deadline = self._settings.deadline_seconds
        good = await asyncio.gather(*(feed.refresh(deadline, self._clock) for feed in feeds))
        if self.images.value is not None and self.catalogue.value is not None:
            self._joined, left_out = join(self.images.value, self.catalogue.value, self._default_image)
            self._left_out = log_new("images", left_out, self._left_out)
        return all(good)

    def facts(self) -> Facts:
        """What is known now; instant."""
        now = self._clock()
        feeds = (self.resources, self.images, self.catalogue)
        ages = [(now - feed.answered_at, feed) for feed in feeds if feed.answered_at is not None]
        silent = next((feed for feed in feeds if feed.answered_at is None), None)
        oldest, slowest = max(ages, key=lambda aged: aged[0], default=(0.0, self.resources))
        missing = overdue = None
        if silent:
            missing = (
                f"Waiting for the first answer of {silent.service}: no server can be started before. "
                "Reload this page in a moment; if it stays like this, tell your administrator."
            )
        elif oldest > self._settings.stale_after_seconds:
            missing = (
                f"No answer from {slowest.service} for {age_text(oldest)}: no server can be started now. "
                "Servers that run already are not affected. Tell your administrator."
            )
        elif late := next((feed for feed in feeds if feed.error), None):
            overdue = f"No answer from {late.service} at the moment: its last one stays in use."
        control_age = max((age for age, feed in ages if feed is not self.catalogue), default=0.0)
        return Facts(self.resources.value or (), self._joined, control_age, overdue, missing)

    def ages(self) -> dict[str, float]:
        """Seconds since the last good answer, by source; infinite where there was none."""
        now = self._clock()
        feeds: dict[str, float | None] = {
            "resources": self.resources.answered_at,
            "images": self.images.answered_at,
            "catalogue": self.catalogue.answered_at,
        }
        return {name: float("inf") if at is None else now - at for name, at in feeds.items()}

    async def _keep_asking(self) -> None:
        pause = 0.5
        try:
            while True:
                good = False
                try:
                    good = await self.refresh()
                except Exception:
                    # A mistake of ours must not end discovery for the rest of the hub's life.
                    log.exception("Refresh of images and resources failed")
                # After trouble soon again, then ever later, so that a service that comes up is seen, and
                # not flooded.
                regular = self._settings.refresh_seconds
                pause = regular if good else min(regular, pause * 2)
                # Several hubs that started together must not ask together for ever.
                await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 - no secret hangs on it
                pause = 0.5 if good else pause
        finally:
            await self._control.close()
            await self._manifest.close()


def log_new(what: str, reasons: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Log those reasons that were not known before, ten at most; returns the reasons, to be known the next
    time.
    """
    new = [reason for reason in reasons if reason not in known]
    for reason in new[:10]:
        log.warning("%s: left out: %s", what, reason)
    if len(new) > 10:
        log.warning("%s: %d more left out", what, len(new) - 10)
    return reasons
