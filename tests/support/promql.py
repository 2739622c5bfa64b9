"""Reading PromQL out of dashboards and rules."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser

SUFFIXES = ("_bucket", "_sum", "_count")


def grafana_macros(expression: str) -> str:
    """Replace Grafana's variables by values that parse."""
    return expression.replace("$__rate_interval", "1m").replace("$__range", "1h")


def selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    """Yield every selector of an expression; raises ValueError where it does not parse."""
    yield from _walk(promql_parser.parse(grafana_macros(expression)))


def _walk(node: Any) -> Iterator[promql_parser.VectorSelector]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
        return
    for name in ("expr", "lhs", "rhs", "vs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if child is not None and not isinstance(child, str | int | float):
            yield from _walk(child)
    for child in getattr(node, "args", None) or ():
        yield from _walk(child)


def metric_names(expression: str) -> set[str]:
    """Return our metrics in an expression, without prefix and without the suffixes of histograms."""
    found = set(re.findall(r"\bsilian_[a-z0-9_]+", expression))
    return {_family(name.removeprefix("silian_")) for name in found}


def _family(name: str) -> str:
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name
