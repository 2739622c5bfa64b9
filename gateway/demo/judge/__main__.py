"""`python -m gateway.demo.judge --demo D/demo.json`: reads orders as lines of JSON, answers with lines of JSON.

An order is `{"do": "pictures", ...arguments}`, the answer `{"did": "pictures", "result": {...}}`. The last order is
`verdict`; **the exit code is 0 only if nothing was lost, doubled or untrue**, and 1 if the orders end without it.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from gateway.demo.judge.bench import Bench

ORDERS = frozenset(
    {
        "begin",
        "pictures",
        "picture_back",
        "alarms",
        "alarms_on",
        "alarms_off",
        "cap",
        "settle",
        "link",
        "roll_call",
        "spot_check",
        "call",
        "call_console",
        "watch",
        "verdict",
    }
)


def main() -> int:
    """Run the judge."""
    parser = argparse.ArgumentParser(description="The judge of silian demo --check")
    parser.add_argument("--demo", type=Path, required=True, help="demo.json of the running demo")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    places = json.loads(chosen.demo.read_text(encoding="utf-8"))
    # Answers own standard output; whatever a library prints goes to the log.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        return asyncio.run(_sit(places, chosen.seed, answers))


async def _sit(places: dict[str, Any], seed: int, answers: Any) -> int:
    async with contextlib.AsyncExitStack() as stack:
        bench = Bench(places, seed, stack)
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            name = order.pop("do")
            result = await _obey(bench, name, order)
            answers.write(json.dumps({"did": name, "result": result}, ensure_ascii=False) + "\n")
            answers.flush()
            if name == "verdict":
                return 0 if result["good"] else 1
    return 1


async def _obey(bench: Bench, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name not in ORDERS:
        raise AssertionError(f"no such order: {name}")
    try:
        result: dict[str, Any] = await getattr(bench, name)(**arguments)
    except Exception as error:  # noqa: BLE001 - a judge that breaks off would hide every other fault
        bench.fault(f"{name} broke off: {type(error).__name__}: {error}")
        return {"error": f"{type(error).__name__}: {error}"}
    return result


if __name__ == "__main__":
    sys.exit(main())
