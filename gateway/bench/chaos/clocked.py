"""`python -m gateway.bench.chaos.clocked serve -c FILE`: the gateway's own program on a clock that may be stepped."""

import os
import runpy
from datetime import datetime
from pathlib import Path

from gateway.bench.chaos.clock import VARIABLE, SteppedClock
from protocols.aio import clock
from protocols.aio.clock import SystemClock


def main() -> None:
    """Run the gateway; only its wall clock is another."""
    stepped = SteppedClock(Path(os.environ[VARIABLE]))

    def now(_: SystemClock) -> datetime:
        return stepped.now()

    vars(clock)["SystemClock"] = type("SystemClock", (SystemClock,), {"now": now})
    runpy.run_module("gateway", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
