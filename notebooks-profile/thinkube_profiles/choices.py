"""What a user may start: offers for the page, and the verdict on what was submitted. Pure, no I/O.

The one place that turns submitted options into what a pod gets. The page shows the same offers, but the
verdict never trusts the page: it is reached anew at every start, from the facts of that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .catalogue import NotebookImage
from .quantities import GIB, cores_text, memory_text
from .resources import Amount, Node
from .rules import Profiles, Size

OPTION_KEYS = ("profile", "image")
"""What a start must name, and all that it may name: the slug of a size, the name of an image."""


@dataclass(frozen=True)
class User:
    """Who asks. Every user has the same sizes so far; per-group limits come in here."""

    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SizeOffer:
    """A size as it stands now: `refused` says why it cannot be had at all, `warning` why it may have to
    wait.
    """

    size: Size
    limit: Amount
    guarantee: Amount
    free_nodes: int = 0
    refused: str | None = None
    warning: str | None = None


@dataclass(frozen=True)
class Choice:
    """What the pod gets, and nothing else: cores, bytes, an image reference of ours or of thinkube-
    control's list.
    """

    profile: str
    image_name: str
    image: str
    limit: Amount
    guarantee: Amount


@dataclass(frozen=True)
class Refusal:
    """Why not, as a sentence for the user, with the HTTP status that goes with it."""

    status: int
    sentence: str


def size_offers(nodes: Sequence[Node], profiles: Profiles) -> tuple[SizeOffer, ...]:
    """All sizes in the order of the settings, each judged by its guarantee, on one node at a time."""
    return tuple(_size_offer(size, nodes, profiles) for size in profiles.sizes)


def image_offers(images: Iterable[NotebookImage]) -> tuple[NotebookImage, ...]:
    """Images that CPU sizes can run: one that needs a GPU would start and fail there."""
    return tuple(image for image in images if not image.gpu_required)


def preselected_image(images: Sequence[NotebookImage]) -> str | None:
    """Name of the image to start from: the default, else the first."""
    return next((image.name for image in images if image.default), images[0].name if images else None)


def choose(
    images: Iterable[NotebookImage], nodes: Sequence[Node], profiles: Profiles, user: User, options: object
) -> Choice | Refusal:
    """The verdict on submitted options of any shape, exact matches only. Never raises.

    400: not understood or not on offer; 409: beyond what any node has.
    """
    if not isinstance(options, dict):
        return Refusal(400, f"Name a profile and an image: {_shown(options)} is no set of options.")
    if unknown := [key for key in options if key not in OPTION_KEYS]:
        return Refusal(
            400, f"The option {_shown(unknown[0])} is not known: name a profile and an image only."
        )
    for key in OPTION_KEYS:
        if key not in options:
            return Refusal(400, f"Name {'a profile' if key == 'profile' else 'an image'} to start a server.")
        if not isinstance(options[key], str):
            return Refusal(400, f"The {key} must be a text, and {_shown(options[key])} is none.")
    profile, name = options["profile"], options["image"]
    offer = next((offer for offer in size_offers(nodes, profiles) if offer.size.slug == profile), None)
    if offer is None:
        return Refusal(400, f"There is no profile {_shown(profile)}: choose one on the start page.")
    if offer.refused:
        return Refusal(409, f"{offer.size.display_name} cannot be started: {offer.refused}.")
    image = next((image for image in images if image.name == name), None)
    if image is None:
        return Refusal(400, f"The image {_shown(name)} is not on offer: choose one on the start page.")
    if image.gpu_required:
        return Refusal(400, f"{image.display_name} needs a GPU, and {offer.size.display_name} has none.")
    return Choice(offer.size.slug, image.name, image.reference, offer.limit, offer.guarantee)


def _size_offer(size: Size, nodes: Sequence[Node], profiles: Profiles) -> SizeOffer:
    limit = Amount(float(size.cpu), int(size.memory_gb * GIB))
    guarantee = Amount(
        limit.cpu * profiles.cpu_guarantee_fraction, int(limit.memory * profiles.memory_guarantee_fraction)
    )
    free = sum(guarantee.fits(node.available) for node in nodes)
    refused = warning = None
    if not any(guarantee.fits(node.capacity) for node in nodes):
        refused = _beyond(guarantee, nodes)
    elif not free:
        warning = "not free now: the start may wait until other servers stop"
    return SizeOffer(size, limit, guarantee, free, refused, warning)


def _beyond(need: Amount, nodes: Sequence[Node]) -> str:
    """Why no node can ever give this much; measured against the node that comes nearest."""
    if not nodes:
        return "the cluster reports no node"
    largest = max(nodes, key=lambda node: (node.capacity.memory >= need.memory, node.capacity.cpu))
    have = largest.capacity
    return (
        f"it needs {cores_text(need.cpu)} and {memory_text(need.memory)} on one node, "
        f"and the largest one has {cores_text(have.cpu)} and {memory_text(have.memory)}"
    )


def _shown(value: object) -> str:
    """A submitted value for a sentence: one short printable line, whatever it is."""
    text = ascii(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:60]}..."
