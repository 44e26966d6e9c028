"""Stand-in for Pulumi's Kubernetes provider (4.34): twelve kinds and helm.sh/v3:Release, by server-side
apply and Helm.
"""
