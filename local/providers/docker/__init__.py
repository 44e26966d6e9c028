"""Stand-in for Pulumi's Docker provider (5.2): docker.Image, built by BuildKit and pushed by the Docker engine."""
