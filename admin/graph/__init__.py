"""`python -m admin graph`: the picture in docs/architecture.md, drawn from what the program asks the engine for.

Owns how the program is run without an engine (record.py), what of it is shown (model.py), how it is drawn (mermaid.py)
and where it goes (command.py). Leaves alone: every cluster and service; nothing is asked, and no secret is needed.
"""
