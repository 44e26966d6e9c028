"""The embedded platform: a real Kubernetes and its services on one Linux machine.

It serves the product (``__main__.py``, ``components/``) for newcomers and for tests;
nothing in the product imports it. ``python -m local --help`` lists its commands.
"""
