"""Spawn profiles of the hub: what a user may start is discovered live, shown on the page, and decided here.

Shipped into the hub as files, started by `50-thinkube.py`. From pure to effectful:
`quantities`, `rules`, `resources`, `catalogue`, `choices`, `form` have no I/O; `sources` asks, `discovery`
keeps asking, `hooks` is what JupyterHub calls. `identity` (pure) and `authenticator` decide who gets in.
Imports nothing that the chart's hub image does not carry.
"""
