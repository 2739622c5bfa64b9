"""Figures of several workers as those of one engine: every stream once, every peer once, no bridge among them.

`joined` does the same for streams that live at several replicas (`media_spread`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from gateway.adapters.media_embedded.wire import Figures
from gateway.ports.media import EngineStats, SessionKind, StreamState, StreamStats, WorkerStats

INNER = frozenset({SessionKind.BRIDGE, SessionKind.BRIDGED})


def summed(
    found: Mapping[str, Figures], home: Callable[[str], str], workers: Iterable[str], restarts: int
) -> EngineStats:
    """Sum up; `home` says where a stream lives: what came in is counted there alone.

    `workers` are all that there should be. The lag is that of the slowest one.
    """
    dropped: Counter[str] = Counter()
    sessions: Counter[str] = Counter()
    modes: dict[str, set[str]] = {}
    for figures in found.values():
        dropped.update(figures.dropped)
        sessions.update({kind: count for kind, count in figures.sessions.items() if kind not in INNER})
        for name, mode in figures.modes.items():
            modes.setdefault(name, set()).add(mode)
    each = tuple(_worker(name, found.get(name)) for name in workers)
    return EngineStats(
        streams=joined({name: figures.streams for name, figures in found.items()}, home),
        sessions=dict(sessions),
        dropped=dict(dropped),
        worker_restarts=restarts,
        loop_lag_ms=max(figures.loop_lag_ms for figures in found.values()),
        modes={name: "/".join(sorted(seen)) for name, seen in modes.items()},
        lines=tuple(line for figures in found.values() for line in figures.lines if line.kind not in INNER),
        workers=each,
        bridges=sum(worker.bridges for worker in each),
    )


def _worker(name: str, figures: Figures | None) -> WorkerStats:
    if figures is None:
        return WorkerStats(name, up=False, sessions=0, bridges=0, loop_lag_ms=0.0)
    inner = sum(figures.sessions.get(kind, 0) for kind in INNER)
    return WorkerStats(
        name,
        up=True,
        sessions=sum(figures.sessions.values()) - inner,
        bridges=figures.sessions.get(SessionKind.BRIDGE, 0),
        loop_lag_ms=figures.loop_lag_ms,
    )


def joined(found: Mapping[str, Iterable[StreamStats]], home: Callable[[str], str]) -> tuple[StreamStats, ...]:
    """Join the figures of each stream from all places that carry it; `home` says in which one it lives.

    What came in and what is known of the picture counts at home alone: elsewhere it is a copy. What went out counts
    everywhere. A stream whose home knows nothing of it is absent, however many watch its copies.
    """
    parts: dict[str, dict[str, StreamStats]] = {}
    for place, streams in found.items():
        for one in streams:
            parts.setdefault(one.stream, {})[place] = one
    return tuple(_stream(part, home(stream)) for stream, part in parts.items())


def _stream(part: Mapping[str, StreamStats], home: str) -> StreamStats:
    own = part.get(home)
    base = own if own is not None else _absent(next(iter(part.values())))
    return replace(
        base,
        viewers=sum(one.viewers for one in part.values()),
        relays=sum(one.relays for one in part.values()),
        packets_out=sum(one.packets_out for one in part.values()),
        bytes_out=sum(one.bytes_out for one in part.values()),
    )


def _absent(copy: StreamStats) -> StreamStats:
    """Return the figures of a stream that is watched where it does not live, while its home knows nothing of it."""
    return StreamStats(
        stream=copy.stream, state=StreamState.ABSENT, codec=None, viewers=0, relays=0, packets_in=0, bytes_in=0,
        packets_out=0, bytes_out=0, lost=0, frames=0, key_frames=0, frame_age_ms=None, key_frame_interval_s=None,
        frame_rate=0.0, audio=False,
    )  # fmt: skip
