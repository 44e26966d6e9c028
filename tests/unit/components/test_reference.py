"""docs/configuration.md says what the code does."""

from __future__ import annotations

import yaml

from components.settings.reference import page
from tests.unit.components.conftest import ROOT


def test_page_is_in_step() -> None:
    made = page(yaml.safe_load((ROOT / "Pulumi.yaml").read_text()))
    assert (ROOT / "docs" / "configuration.md").read_text() == made, (
        "run `python -m components.settings.reference > docs/configuration.md`"
    )


def test_page_has_every_level() -> None:
    made = page(yaml.safe_load((ROOT / "Pulumi.yaml").read_text()))
    for key in (
        "domain_name",
        "storage.volumes.notebooks.size",
        "hub.chart.version",
        "profiles.sizes[].memoryGb",
    ):
        assert f"| `{key}` |" in made
