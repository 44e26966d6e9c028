"""What the hub's /metrics says about discovery: the age of each source's last good answer.

JupyterHub serves the default registry to whoever has the scope read:metrics; its hub image carries the client
library, which JupyterHub itself needs.
"""

from __future__ import annotations

from prometheus_client import Gauge

from .discovery import Discovery

AGE = Gauge(
    "thinkube_discovery_age_seconds",
    "Age of the last good answer about images, resources and the catalogue; +Inf: none so far.",
    ["source"],
)


def expose(discovery: Discovery) -> None:
    """Have the gauges ask `discovery` whenever they are read."""
    for source in discovery.ages():
        AGE.labels(source).set_function(lambda source=source: discovery.ages()[source])  # type: ignore[misc]
