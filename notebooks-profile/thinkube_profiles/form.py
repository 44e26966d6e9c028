"""The spawn page's form as HTML. Pure: offers and the state of the figures in, text out.

JupyterHub puts it inside its own `<form>` with the Start button. Everything is escaped by the template;
there are no scripts, no styles and no assets of its own, so that any Content-Security-Policy of the hub
lets it work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tornado.template import Loader

from .catalogue import NotebookImage
from .choices import SizeOffer, preselected_image
from .quantities import age_text, cores_text, memory_text

_TEMPLATES = Loader(str(Path(__file__).parent))


def render_form(
    sizes: Sequence[SizeOffer],
    images: Sequence[NotebookImage],
    age_seconds: float,
    overdue: str | None,
    last: Mapping[str, object],
) -> str:
    """The form with `sizes` and `images` to choose from.

    `age_seconds`: age of the figures; `overdue`: a sentence where a service is late, None in good times;
    `last`: what this user started last, in any shape, taken as a preselection where it is still on offer.
    """
    usable = [offer.size.slug for offer in sizes if not offer.refused]
    names = [image.name for image in images]
    size, image = last.get("profile"), last.get("image")
    return (
        _TEMPLATES.load("form.html")
        .generate(
            sizes=sizes,
            images=images,
            size_chosen=size if size in usable else (usable[0] if usable else None),
            image_chosen=image if image in names else preselected_image(images),
            age=age_text(age_seconds),
            overdue=overdue,
            cores_text=cores_text,
            memory_text=memory_text,
        )
        .decode()
    )


def render_notice(sentence: str) -> str:
    """What stands in the form's place while nothing can be started."""
    return _TEMPLATES.load("notice.html").generate(sentence=sentence).decode()
