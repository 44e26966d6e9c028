"""Stand-in for Pulumi's Keycloak provider (6.14): realm, OpenID client, groups mapper and group, by the
admin REST API.
"""
