"""What the event stream says of each past-tense event: the changed object as its GET shows it, or its id."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from gateway.alarms.service import Alarms
from gateway.events import (
    AlarmChanged,
    CallChanged,
    CameraChanged,
    CatalogueChanged,
    ConsoleCalled,
    DutyChanged,
    EscalationChanged,
    FloorChanged,
    InspectionChanged,
    LinkChanged,
    MediaRestarted,
    OfferChanged,
    OrderChanged,
    ReportChanged,
    RollCallChanged,
    WallSlotChanged,
    WarningChanged,
)
from gateway.ports.store import UPPER
from gateway.registry.api import UpperView, link_view
from gateway.registry.service import Registry
from gateway.web.stream import Message, Renderer


def renderers(
    registry: Registry, alarms: Alarms, upper: Callable[[], UpperView | None]
) -> Mapping[type[Any], Renderer]:
    """Return a renderer per event type."""

    async def link(event: LinkChanged) -> Message:
        if event.node == UPPER:
            return Message("link.changed", {"upper": upper()})
        found = registry.link(event.node)
        return Message("link.changed", link_view(registry, found) if found else {"node": event.node})

    async def alarm(event: AlarmChanged) -> Message:
        return Message("alarm.changed", await alarms.get(event.alarm_id))

    async def camera(event: CameraChanged) -> Message:
        return Message("camera.changed", {"id": event.stream})

    async def catalogue(event: CatalogueChanged) -> Message:
        return Message("catalogue.changed", {"node": event.node})

    async def restarted(event: MediaRestarted) -> Message:
        return Message("media.restart", {"streams": list(event.streams), "sessions": list(event.sessions)})

    async def slot(event: WallSlotChanged) -> Message:
        told = asdict(event)
        return Message("wall.slot", {"session": told.pop("session_id"), **told})

    return {
        LinkChanged: link,
        AlarmChanged: alarm,
        EscalationChanged: _chain,
        ConsoleCalled: _called,
        CameraChanged: camera,
        CatalogueChanged: catalogue,
        **_by_id(),
        DutyChanged: _duty,
        MediaRestarted: restarted,
        WallSlotChanged: slot,
        FloorChanged: _floor,
    }


def _by_id() -> Mapping[type[Any], Renderer]:
    """Return renderers that name what changed: the page reads it anew."""

    async def roll_call(event: RollCallChanged) -> Message:
        return Message("rollcall.changed", {"id": event.roll_call_id})

    async def call(event: CallChanged) -> Message:
        return Message("call.changed", {"id": event.call_id})

    async def report(event: ReportChanged) -> Message:
        return Message("report.changed", {"id": event.report_id, "percent": event.percent})

    async def warning(event: WarningChanged) -> Message:
        return Message("warning.changed", {"id": event.warning_id})

    async def order(event: OrderChanged) -> Message:
        return Message("order.changed", {"id": event.order_id})

    async def inspection(event: InspectionChanged) -> Message:
        return Message("inspection.changed", {"id": event.roll_call_id})

    async def offer(event: OfferChanged) -> Message:
        return Message("offer.changed", {"id": event.offer_id})

    return {
        RollCallChanged: roll_call,
        OfferChanged: offer,
        InspectionChanged: inspection,
        CallChanged: call,
        ReportChanged: report,
        WarningChanged: warning,
        OrderChanged: order,
    }


async def _floor(event: FloorChanged) -> Message:
    told = {"of": event.of, "speaker": event.speaker, "heard": list(event.heard), "muted": list(event.muted)}
    return Message("floor.changed", told)


async def _duty(event: DutyChanged) -> Message:
    return Message("duty.changed", {"centre": event.centre})


async def _chain(event: EscalationChanged) -> Message:
    return Message("escalation.changed", {"id": event.alarm_id})


async def _called(event: ConsoleCalled) -> Message:
    told = {"id": event.notice_id, "role": event.role, "severity": event.severity, "text": event.text}
    return Message("escalation.call", told | event.data)
