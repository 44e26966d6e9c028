"""The graph as a Mermaid flowchart (https://mermaid.js.org/syntax/flowchart.html). Pure.

A component is one box with lines, not a subgraph of boxes: arrows between subgraphs run behind other subgraphs.
"""

from __future__ import annotations

from admin.graph.model import Component, Graph, Kind

STYLES = {
    "own": "fill:#e8effc,stroke:#4a6fb5,color:#14213d",
    "keeps": "fill:#e3f4e6,stroke:#2f8f4e,stroke-width:3px,color:#14213d",
}
"""of a component that goes with the stack, and of one that leaves something behind"""
SERVICES = {"keycloak": "Keycloak ", "docker": "registry "}
"""what stands before a kind that is not Kubernetes'"""


def flowchart(graph: Graph) -> str:
    """Return the diagram's text, ending in a newline: a box per component, arrows from what is made earlier."""
    lines = ["flowchart LR", *map(_box, graph.components)]
    lines += [f"  {need.earlier} -->|{', '.join(need.kinds)}| {need.later}" for need in graph.needs]
    lines += [f"  classDef {name} {style}" for name, style in STYLES.items()]
    return "\n".join(lines) + "\n"


def _box(component: Component) -> str:
    rows = [f"<b>{_text(component.title)}</b>", *map(_row, component.kinds)]
    style = "keeps" if any(kind.kept for kind in component.kinds) else "own"
    return f'  {component.name}["{"<br>".join(rows)}"]:::{style}'


def _row(kind: Kind) -> str:
    title = f"<i>{SERVICES.get(kind.service, '')}{_text(kind.name)}{', kept' if kind.kept else ''}</i>"
    return "<br>".join([title, *map(_text, kind.members)])


def _text(text: str) -> str:
    """Safe inside of a quoted label: Mermaid knows HTML's entities with `#` in place of `&`."""
    for sign, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(sign, entity)
    return text
