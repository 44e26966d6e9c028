"""Entry point of the plugin executable."""

from local.providers.keycloak.provider import KeycloakProvider
from local.providers.serve import main

main(KeycloakProvider(), "6.14.1")
