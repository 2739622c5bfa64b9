"""Who takes which events and commands: the rooms of a gateway are introduced to its links here, and nowhere else."""

from typing import TYPE_CHECKING

from protocols.alarm import ALARM_TYPES
from protocols.bulletin import ANSWERED, OBJECTED
from protocols.command import CALL_ENDED, ROLLCALL_DETAILS, CommandName
from protocols.diary import NODE_RECORD
from protocols.duty import DUTY_CURRENT
from protocols.escalation import DOWNWARD, ESCALATED, REOPENED
from protocols.health import CATALOGUE, LINK_STATE
from protocols.order import ANSWERED as ORDER_ANSWERED
from protocols.report import SENT
from protocols.rollcall import CALL_RESULT, POINT_RESULT
from protocols.warning import ISSUED

if TYPE_CHECKING:
    from gateway.app import Gateway


def introduce(gateway: "Gateway") -> None:
    """Say it to the links, before anything runs."""
    for type_ in (*ALARM_TYPES, ESCALATED, REOPENED):
        gateway.links.on_event(type_, gateway.alarms)
    for type_ in DOWNWARD:
        gateway.links.on_event_from_above(type_, gateway.alarms.from_above)
    for type_ in (CATALOGUE, LINK_STATE):
        gateway.links.on_event(type_, gateway.registry)
    gateway.links.on_event(SENT, gateway.report_inbox)
    gateway.links.on_command(CommandName.REPORT_ANSWER, gateway.report_inbox.on_answer)
    for type_ in (OBJECTED, ANSWERED):
        gateway.links.on_event(type_, gateway.press)
    gateway.links.on_command(CommandName.ROLLCALL_RESULT, gateway.unit_desk.on_result)
    gateway.links.on_command(CommandName.ROLLCALL_BULLETIN, gateway.unit_desk.on_bulletin)
    gateway.links.on_event(ISSUED, gateway.warning_inbox)
    gateway.links.on_event(ORDER_ANSWERED, gateway.orders.answering)
    gateway.links.on_command(CommandName.ORDER_SENT, gateway.orders.inbox.on_order)
    gateway.links.on_event(CALL_ENDED, gateway.dispatch)
    gateway.links.on_event(DUTY_CURRENT, gateway.duty)
    for type_ in (POINT_RESULT, CALL_RESULT):
        gateway.links.on_event(type_, gateway.rollcall.results)
    gateway.links.on_event(ROLLCALL_DETAILS, gateway.rollcall.details)
    gateway.links.on_event(NODE_RECORD, gateway.proofs.causes)
    gateway.links.on_command(CommandName.MEDIA_PUBLISH, gateway.media.on_publish)
    gateway.links.on_command(CommandName.MEDIA_UNPUBLISH, gateway.media.on_unpublish)
    gateway.links.on_command(CommandName.ROLLCALL_ORDER, gateway.rollcall.on_order)
    gateway.links.on_command(CommandName.ROLLCALL_STEER, gateway.rollcall.on_steer)
    gateway.links.on_command(CommandName.ROLLCALL_INSPECT, gateway.rollcall.on_inspect)
    gateway.links.on_command(CommandName.ROLLCALL_PROBE, gateway.rollcall.on_probe)
    gateway.links.on_command(CommandName.ROLLCALL_CHALLENGE, gateway.rollcall.on_challenge)
    gateway.links.on_command(CommandName.CALL_RING, gateway.dispatch.on_ring)
    gateway.links.on_command(CommandName.CALL_END, gateway.dispatch.on_end)
    gateway.enrolment.on_enrolled(gateway.links.expect)
