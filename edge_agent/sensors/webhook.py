"""Signed webhook: `POST /ingest/alarms`. 202 only after the spool's commit; every refusal is a problem document.

The body is signed: `X-Silian-Signature: sha256=<hex HMAC-SHA256 of the body>`. `Idempotency-Key` makes a retry safe.
`POST /ingest/heartbeat` with `{"sensor": "gas-1"}`, signed alike, says that a sensor lives (204).
"""

import asyncio
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_agent.intake import Intake
from edge_agent.problems import problem
from edge_agent.sensors.idempotency import Requests
from edge_agent.sensors.keeper import Keeper
from edge_agent.sensors.reports import BODY_BYTES, read_reports
from edge_agent.settings import LimitSettings, StationSettings
from protocols.aio.clock import Clock, new_ulid
from protocols.alarm import SensorReport
from protocols.envelope import first_fault
from protocols.errors import (
    BadInputError,
    BadSchemaError,
    ConfigError,
    NotAuthenticatedError,
    SilianError,
    TooLargeError,
    WrongMomentError,
)

SECRET_LENGTH = 16
_KEY = re.compile(r"^[\x21-\x7e]{1,128}$")


def read_secret(path: Path) -> bytes:
    """Read the shared secret; raises ConfigError for one that is missing or shorter than 16 characters."""
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"webhook.secret_file {path}: {error.strerror}") from None
    if len(secret) < SECRET_LENGTH:
        raise ConfigError(f"webhook.secret_file {path}: shorter than {SECRET_LENGTH} characters")
    return secret


class Beat(BaseModel):
    """What a heartbeat says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensor: str = Field(min_length=1, max_length=64)


@dataclass(frozen=True, slots=True)
class WebhookTable:
    """The webhook's sensors as a keeper wants them."""

    stations: tuple[StationSettings, ...]
    silent_after_s: float
    name: str = "webhook"
    limits: tuple[LimitSettings, ...] = ()
    label: str | None = None


class Webhook:
    """The route and its manners."""

    def __init__(
        self, intake: Intake, requests: Requests, secret: bytes, clock: Clock, keeper: Keeper | None = None
    ) -> None:
        self._intake = intake
        self._requests = requests
        self._secret = secret
        self._clock = clock
        self._keeper = keeper
        self._busy: dict[str, asyncio.Lock] = {}

    def routes(self) -> list[Route]:
        """Return the route for the agent's HTTP application."""
        return [
            Route("/ingest/alarms", self.post, methods=["POST"]),
            Route("/ingest/heartbeat", self.heartbeat, methods=["POST"]),
        ]

    async def heartbeat(self, request: Request) -> Response:
        """Note that a sensor lives."""
        try:
            body = await self._body(request)
            self._check_signature(request, body)
            beat = Beat.model_validate_json(body)
        except ValidationError as error:
            return self._refuse(BadSchemaError(first_fault(error)))
        except SilianError as error:
            return self._refuse(error)
        await self._heard([beat.sensor])
        return Response(status_code=204)

    async def _heard(self, sensors: Iterable[str]) -> None:
        if self._keeper is not None:
            await self._keeper.heard(sensors)

    def _refuse(self, error: SilianError) -> Response:
        self._intake.refused(error.code, "webhook", str(error))
        return problem(error)

    async def post(self, request: Request) -> Response:
        """Take one request."""
        try:
            body = await self._body(request)
            self._check_signature(request, body)
            ids = await self._take(request.headers.get("idempotency-key"), body)
        except SilianError as error:
            return self._refuse(error)
        return JSONResponse({"event_ids": list(ids)}, 202)

    @staticmethod
    async def _body(request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES:
                raise TooLargeError(f"the body is larger than {BODY_BYTES} bytes; send several requests")
        return bytes(body)

    def _check_signature(self, request: Request, body: bytes) -> None:
        given = request.headers.get("x-silian-signature", "")
        true = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(given.encode(), true.encode()):
            raise NotAuthenticatedError("X-Silian-Signature must be sha256=<hex HMAC-SHA256 of the body>")

    async def _take(self, key: str | None, body: bytes) -> tuple[str, ...]:
        reports = read_reports(body)
        ids = await self._stored(key, body, reports)
        await self._heard(report.sensor for report in reports)
        return ids

    async def _stored(self, key: str | None, body: bytes, reports: Sequence[SensorReport]) -> tuple[str, ...]:
        if key is None:
            return await self._intake.take(reports, "webhook")
        if not _KEY.match(key):
            raise BadInputError("Idempotency-Key must be 1 to 128 visible ASCII characters")
        lock = self._busy.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                known = await self._requests.find(key, body)
                if known is not None and not known.same:
                    raise WrongMomentError("this Idempotency-Key was used for another body; choose a new one")
                if known is not None and known.done:
                    return known.ids
                ids = known.ids if known else tuple(new_ulid(self._clock) for _ in reports)
                if known is None:
                    self._intake.check(reports, "webhook")
                    await self._requests.begin(key, body, ids, self._clock.now().timestamp())
                await self._intake.take(reports, "webhook", ids)
                self._requests.finish(key)
                return ids
        finally:
            if not lock.locked():
                self._busy.pop(key, None)
