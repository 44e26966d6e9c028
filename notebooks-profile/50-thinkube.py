"""Executed by the chart's hub with `c` injected: reads the settings, leaves the rest to the package."""

from thinkube_profiles.hooks import install
from thinkube_profiles.rules import read_settings
from z2jh import get_config

install(c, read_settings(get_config("custom.thinkube")))
