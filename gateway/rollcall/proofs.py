"""Evidence, its gathering and the causes, joined: what a roll call proves, as one part of the gateway."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.metrics import Metrics
from gateway.ports.blob import BlobStore
from gateway.ports.store import Store
from gateway.rollcall.causes import Causes, HeardWays, Verdicts
from gateway.rollcall.evidence import Evidence
from gateway.rollcall.gatherer import Engine, Gatherer
from gateway.rollcall.needs import Pictures
from gateway.rollcall.recall import Recall
from gateway.settings import RollCallSection
from protocols.aio.clock import Clock
from protocols.aio.tasks import Supervisor


@dataclass(frozen=True, slots=True)
class ProofNeeds:
    """All that it stands on; `folder` holds clips until they are evidence."""

    store: Store
    blobs: BlobStore
    ways: HeardWays
    pictures: Pictures
    engine: Engine
    clock: Clock
    metrics: Metrics
    folder: Path


class Proofs:
    """Use it with `async with`, before the room; say who changes verdicts with `revise_by`."""

    def __init__(self, needs: ProofNeeds, wanted: RollCallSection) -> None:
        days = wanted.evidence_days
        self.evidence = Evidence(needs.store, needs.blobs, needs.clock, needs.metrics, retention_days=days)
        self.gatherer = Gatherer(
            self.evidence,
            needs.pictures,
            needs.engine,
            needs.clock,
            needs.metrics,
            needs.folder,
            demanding=wanted.demand_proof,
        )
        self.recall = Recall(self.gatherer, needs.store, needs.clock, keep_days=days)
        self.causes = Causes(needs.store, needs.ways, self.evidence, needs.clock, needs.metrics, wanted.carriers)
        self._tasks = Supervisor("proofs", clock=needs.clock)

    def revise_by(self, verdicts: Verdicts) -> None:
        """Let `verdicts` change what stands when a county's record says more; call it before entering."""
        self.causes.verdicts = verdicts

    async def __aenter__(self) -> Self:
        await self.gatherer.__aenter__()
        self._tasks.start("causes", self.causes.run)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._tasks.stop()
        await self.gatherer.__aexit__(*exc)
