"""Settings of a stack: typed, validated, and read in one place."""

from components.settings.models import Settings
from components.settings.reader import Secrets, load_secrets, load_settings, plain_secret

__all__ = ["Secrets", "Settings", "load_secrets", "load_settings", "plain_secret"]
