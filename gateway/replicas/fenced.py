"""The store as a replica's rooms see it: nothing is written any more once this process led and another leads now."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gateway.ports.store import Store, UnitOfWork

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


class FencedStore:
    """Contract: `gateway.ports.store`. `check` raises inside a unit of work that may not happen."""

    def __init__(self, store: Store, check: Callable[[UnitOfWork], Awaitable[None]]) -> None:
        self._store = store
        self._check = check

    @asynccontextmanager
    async def _unit(self) -> AsyncIterator[UnitOfWork]:
        async with self._store.unit() as uow:
            await self._check(uow)
            yield uow

    def unit(self) -> "AbstractAsyncContextManager[UnitOfWork]":
        """Open a unit of work; raises StoreAwayError where another replica leads now."""
        return self._unit()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)
