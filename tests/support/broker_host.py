"""A process that holds a broker, for tests that kill it: `python -m tests.support.broker_host KIND FOLDER FILES...`."""

import asyncio
import sys
from pathlib import Path

from gateway.adapters.broker_embedded import EmbeddedBroker
from gateway.adapters.broker_mosquitto import MosquittoBroker, find_mosquitto
from protocols.aio.mqtt import TlsFiles


async def main(kind, folder, *files):
    paths = [Path(file) for file in files]
    parts = {"gateway": "320600", "server": TlsFiles(*paths[:3]), "client": TlsFiles(*paths[3:])}
    if kind == "mosquitto":
        broker = MosquittoBroker(find_mosquitto(), Path(folder), "127.0.0.1", 0, **parts)
    else:
        broker = EmbeddedBroker(Path(folder), "127.0.0.1", 0, **parts)
    async with broker:
        print("up", flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
