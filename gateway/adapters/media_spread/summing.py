"""Figures of several replicas as those of one engine: every stream once, no crossing among them."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from gateway.adapters.media_embedded.summing import joined
from gateway.ports.media import EngineStats


def together_of(found: Mapping[str, EngineStats], own: str, home: Callable[[str], str]) -> EngineStats:
    """Sum up; `home` says where a stream lives, `own` whose modes and lag are told.

    What came in is counted at home alone: at another replica it is a copy.
    """
    sessions: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for figures in found.values():
        sessions.update(figures.sessions)
        dropped.update(figures.dropped)
    return replace(
        found[own],
        streams=joined({member: figures.streams for member, figures in found.items()}, home),
        sessions=dict(sessions),
        dropped=dict(dropped),
        worker_restarts=sum(figures.worker_restarts for figures in found.values()),
        lines=tuple(line for figures in found.values() for line in figures.lines),
        bridges=sum(figures.bridges for figures in found.values()),
    )
