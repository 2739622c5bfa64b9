"""Tables of the escalation room."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, SmallInteger, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

runs = Table(
    "escalation_runs",
    METADATA,
    Column("alarm_id", String(26), primary_key=True),
    Column("opened", BigInteger, nullable=False),
    Column("severity", SmallInteger, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("handed", Boolean, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("step", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("due_at", UtcTime),
    Column("upward_done", Boolean, nullable=False),
    Column("paused_at", UtcTime),
    Column("kept_due", UtcTime),
    Column("before", String(16)),
)
"""The chain of each alarm's present episode, as `machine.Run` has it."""

timers = Table(
    "escalation_timers",
    METADATA,
    Column("kind", String(16), primary_key=True),
    Column("key", String(26), primary_key=True),
    Column("due_at", UtcTime, nullable=False),
    Column("leased_until", UtcTime),
)
"""What must happen and when; a row that has been acted on is gone with the act, in one transaction."""

timers_due = Index("escalation_timers_due", timers.c.due_at)

notices = Table(
    "escalation_notices",
    METADATA,
    Column("id", String(26), primary_key=True),
    Column("bundle", String(256), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("person", String(64), nullable=False),
    Column("role", String(32), nullable=False),
    Column("address", String(512)),
    Column("severity", SmallInteger, nullable=False),
    Column("step", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("reference", String(128), nullable=False),
    Column("said_by", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("settled_at", UtcTime),
)
"""One message to one person by one channel, with its receipt."""

notices_bundle = Index("escalation_notices_bundle", notices.c.bundle, notices.c.state)

noticed = Table(
    "escalation_noticed",
    METADATA,
    Column("notice_id", String(26), primary_key=True),
    Column("alarm_id", String(26), primary_key=True),
)
"""Which alarms a message speaks of: several mild ones may share one."""

noticed_alarm = Index("escalation_noticed_alarm", noticed.c.alarm_id)

letters = Table(
    "escalation_letters",
    METADATA,
    Column("notice_id", String(26), primary_key=True),
    Column("topic", String(64), nullable=False),
    Column("ref", String(64), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("data", JSON, nullable=False),
)
"""The words that another room gave for a message; what they are about is that room's."""

letters_topic = Index("escalation_letters_topic", letters.c.topic)

lines = Table(
    "escalation_lines",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("alarm_id", String(26), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("what", String(32), nullable=False),
    Column("by", String(64), nullable=False),
    Column("detail", Text, nullable=False),
)
"""What befell the chain of an alarm, in order."""

chains = Table(
    "escalation_chains",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("by", String(64), nullable=False),
    Column("chain", JSON, nullable=False),
)
"""Every version of this centre's chain; the newest is in force, none is ever changed."""

clock_marks = Table(
    "escalation_clock_marks",
    METADATA,
    Column("boot", String(36), primary_key=True),
    Column("offset", BigInteger, nullable=False),
)
"""How far the wall clock stood from the time since this boot at the last look, in microseconds."""
