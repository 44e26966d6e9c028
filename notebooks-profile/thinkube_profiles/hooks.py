"""What JupyterHub calls: the page, the form's interpretation, and the verdict before every start.

Owns the connection between the pure code and the spawner. The verdict sits in `apply_user_options`, which
JupyterHub (5.3 and newer) awaits at every start after group overrides and before the spawner's own `start`:
form, REST, named server, restart with stored options or with none at all.
"""

from __future__ import annotations

from typing import Any

from kubespawner import KubeSpawner
from tornado import web
from traitlets import Any as AnyTrait

from .choices import Choice, Refusal, User, choose, image_offers, size_offers
from .discovery import Discovery
from .form import render_form, render_notice
from .metrics import expose
from .rules import Settings


class ProfileSpawner(KubeSpawner):  # type: ignore[misc]
    """KubeSpawner that applies a verdict instead of raw options."""

    user_options = AnyTrait(
        help="""
        Whatever was submitted. Not a Dict as in the base class: the REST API takes any JSON, stores it, and
        a list there would fail each later page of that user, and the hub's next start, before anyone could
        refuse it.
        """
    )

    async def load_user_options(self) -> None:
        """Nothing: `apply_user_options` has set what the verdict allows, and raw options have no say in the
        pod.
        """


class LinkOpened(Exception):
    """A link with options opens the page and starts nothing: a start that a link could trigger, any web
    page could trigger.
    """

    jupyterhub_message = ""
    """No error for the user: JupyterHub shows the form when options of a link are not taken."""


def install(c: Any, settings: Settings, discovery: Discovery | None = None) -> Discovery:
    """Set everything on the hub's configuration object `c`, and start discovery if a loop runs."""
    found = discovery or Discovery(settings)
    profiles = settings.profiles

    # Closures, not methods: traitlets copies configured values deeply, functions aside, and a running task
    # cannot be copied.
    def verdict(spawner: Any, options: object) -> Choice:
        found.ensure_started()
        facts = found.facts()
        if facts.missing:
            raise _refused(Refusal(503, facts.missing))
        result = choose(facts.images, facts.nodes, profiles, User(spawner.user.name), options)
        if isinstance(result, Refusal):
            raise _refused(result)
        return result

    async def options_form(spawner: Any) -> str:
        found.ensure_started()
        facts = found.facts()
        if facts.missing:
            return render_notice(facts.missing)
        last = spawner.user_options if isinstance(spawner.user_options, dict) else {}
        sizes = size_offers(facts.nodes, profiles)
        return render_form(sizes, image_offers(facts.images), facts.age_seconds, facts.overdue, last)

    def options_from_form(form_data: dict[str, list[Any]], spawner: Any = None) -> dict[str, Any]:
        """Form fields to options. With the spawner at hand a refusal shows at once on the page, beside the
        form.
        """
        if spawner is None:
            raise LinkOpened
        options = {
            key: values[0] if len(values) == 1 else values
            for key, values in form_data.items()
            if key != "_xsrf"
        }
        verdict(spawner, options)
        return options

    async def apply_user_options(spawner: Any, user_options: object) -> None:
        choice = verdict(spawner, user_options)
        spawner.image = choice.image
        spawner.cpu_limit = choice.limit.cpu
        spawner.cpu_guarantee = choice.guarantee.cpu
        spawner.mem_limit = choice.limit.memory
        spawner.mem_guarantee = choice.guarantee.memory
        spawner.log.info("%s starts %s with %s", spawner._log_name, choice.profile, choice.image)

    c.JupyterHub.spawner_class = ProfileSpawner
    c.KeycloakAuthenticator.verify_user = settings.verify_user
    c.KubeSpawner.profile_list = []
    c.KubeSpawner.options_form = options_form
    c.KubeSpawner.options_from_form = options_from_form
    c.KubeSpawner.apply_user_options = apply_user_options
    # A refused start counts as a failed spawn; with a limit, a user could end the hub by asking for
    # nonsense five times.
    c.KubeSpawner.consecutive_failure_limit = 0
    expose(found)
    found.ensure_started()
    return found


def _refused(refusal: Refusal) -> web.HTTPError:
    error = web.HTTPError(refusal.status, refusal.sentence)
    # What JupyterHub shows to the user, in place of the error's technical text.
    error.jupyterhub_message = refusal.sentence  # type: ignore[attr-defined]
    return error
