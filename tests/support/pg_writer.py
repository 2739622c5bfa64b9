"""A process that owes records and says the id of each once its commit is known: `pg_writer URL MARK`.

It goes on while the database is away, and says `away` then.
"""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import make_url

from gateway.adapters.store_postgres import PostgresStore
from gateway.ports.store import UPPER
from protocols.aio.clock import SystemClock
from protocols.envelope import Lane
from protocols.errors import StoreAwayError


async def main(url: str, mark: str) -> None:
    """Write for ever."""
    async with PostgresStore(make_url(url), "320600", SystemClock(), lambda _: None, Path(mark)) as store:
        number = 0
        while True:
            try:
                async with store.unit() as uow:
                    event = uow.mint("cn.silian.test.v1", {"number": number, "by": mark})
                    await uow.owe(UPPER, Lane.BACKFILL, event)
            except StoreAwayError:
                print("away", flush=True)
                await asyncio.sleep(0.1)
            else:
                print(event.id, flush=True)
                number += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
