"""An agent, a media engine and a viewer on the loopback of a namespace, whose line is made bad with nft.

Run under `unshare --net`: `python -m tests.support.bad_line DIR`. Writes one JSON object: what the viewer saw under 5 %
loss, and how a cut of the line ended.
"""

import asyncio
import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from edge_agent.cameras import make_camera
from edge_agent.media.listener import Listener
from edge_agent.media.publisher import Publisher, Source
from edge_agent.media.sound import SoundSource
from edge_agent.settings import CameraSettings
from gateway.adapters.media_embedded.engine import EmbeddedMediaEngine
from protocols.aio.clock import SystemClock
from protocols.aio.tasks import Supervisor
from protocols.aio.testcard import tone_hz
from protocols.command import CallRing, MediaPublish
from tests.support.engine_http import EngineHttp
from tests.support.until import until

STREAM = "320623/room"
LOSSY = "udp dport != 0 numgen random mod 100 < 5 drop"


def nft(*words: str) -> None:
    """Change the namespace's rules."""
    subprocess.run(["nft", *words], check=True)


def line(rule: str | None) -> None:
    """Put one rule on everything that arrives, or none."""
    nft("flush", "chain", "inet", "line", "in")
    if rule is not None:
        nft("add", "rule", "inet", "line", "in", *rule.split())


def ring(http: EngineHttp) -> CallRing:
    """Name the stream to the viewer."""
    return CallRing(
        call_id="01JD8Z5W3K4M5N6P7Q8R9S0T1V",
        centre=STREAM[:6],
        camera="room",
        caller="x",
        caller_centre=STREAM[:6],
        caller_stream=STREAM,
        whep_url=http.url(STREAM, "whep"),
        token="t",
    )


async def fresh(viewer: Listener) -> float:
    """Wait for a picture drawn from now on; returns how long it took."""
    began = time.time()

    def seen() -> bool:
        mark = (viewer.report()["picture"] or {}).get("mark")
        return mark is not None and mark["code"] == "320623" and mark["age_ms"] < (time.time() - began) * 1000

    await until(seen, 80)
    return time.time() - began


async def run(state: Path) -> dict[str, float]:
    """Publish, view, lose, cut, come back."""
    found: dict[str, float] = {}
    async with EmbeddedMediaEngine(state_dir=state) as engine, EngineHttp(engine) as http, Supervisor("t") as tasks:
        camera = make_camera(CameraSettings(name="room", kind="testcard"), "320623")
        camera.start()
        tone = SoundSource("tone", tone_hz("320623"))
        tone.start()
        source = Source(camera.feed, tone.feed, camera.thumb, camera.bounds(), camera.steer)
        publisher = Publisher({STREAM: source}, SystemClock(), tasks)
        line(LOSSY)
        until_ = SystemClock().now() + timedelta(seconds=280)
        publisher.publish(MediaPublish(stream=STREAM, whip_url=http.url(STREAM), token="t", until=until_))
        viewer = Listener(ring(http), "null", SystemClock())
        tasks.start("viewer", viewer.run, restart=False)
        found["first_s"] = await fresh(viewer)
        heard = viewer.report()["audio_s"]
        await until(lambda: viewer.report()["audio_s"] > heard + 3)
        await fresh(viewer)
        found["peak_hz"] = viewer.report()["peak_hz"]
        found["frames"] = viewer.report()["frames"]
        found["sessions_under_loss"] = publisher.counters["sessions"]
        line("drop")
        await until(lambda: publisher.counters["ended_failed"] >= 1, 30)
        found["live_while_cut"] = len(publisher.names())
        line(LOSSY)
        found["back_s"] = await fresh(viewer)
        await until(publisher.names)
        ((_, session),) = publisher.sessions()
        line("drop")
        await until(lambda: session.look(time.monotonic()) == "failed", 30)
        line(LOSSY)
        found["back_after_failure_s"] = await fresh(viewer)
        await until(publisher.names)
        found |= {name: float(count) for name, count in publisher.counters.items()}
        await tasks.cancel("viewer")
        await publisher.unpublish(STREAM)
        tone.stop()
        await camera.stop()
    return found


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    nft("add", "table", "inet", "line")
    nft("add", "chain", "inet", "line", "in", "{ type filter hook input priority 0 ; }")
    print(json.dumps(asyncio.run(run(Path(sys.argv[1])))))
