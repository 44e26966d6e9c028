"""Entry point of the plugin executable."""

from local.providers.docker.provider import DockerProvider
from local.providers.serve import main

main(DockerProvider(), "5.2.0")
