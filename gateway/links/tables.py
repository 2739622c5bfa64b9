"""Tables of the links room."""

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from gateway.ports.store import METADATA, UtcTime

inbox = Table(
    "inbox",
    METADATA,
    Column("node", String(32), primary_key=True),
    Column("epoch", String(26), primary_key=True),
    Column("lane", String(16), primary_key=True),
    Column("held", Text, nullable=False),
)
"""Which hop seqs of which sender are settled here (`protocols.receiver.Held`): compacted ranges, kept for ever."""

gaps = Table(
    "gaps",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("node", String(32), nullable=False),
    Column("epoch", String(26), nullable=False),
    Column("lane", String(16), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("found_at", UtcTime, nullable=False),
)
"""Records that a sender once had and can no longer send: named, never silent."""

events = Table(
    "events",
    METADATA,
    Column("source", String(32), primary_key=True),
    Column("id", String(26), primary_key=True),
    Column("type", String(128), nullable=False),
    Column("origincounter", BigInteger, nullable=False),
    Column("sender", String(32), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("body", Text),
    sqlite_with_rowid=False,
)
"""Every event ever stored here, by its identity. `body` is kept for types that no room takes."""

commands = Table(
    "commands",
    METADATA,
    Column("command_id", String(26), primary_key=True),
    Column("own", Boolean, nullable=False),
    Column("deadline", UtcTime, nullable=False),
    Column("taken_at", UtcTime, nullable=False),
    Column("args", JSON(none_as_null=True), nullable=False),
    Column("reply", JSON(none_as_null=True)),
)
"""Commands given by this gateway (`own`) or addressed to it; `args` is the whole command, `reply` once there is one."""

commands_open = Index("commands_open", commands.c.deadline)

link_log = Table(
    "link_log",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("node", String(32), nullable=False),
    Column("status", String(8), nullable=False),
    Column("reason", String(16)),
    Column("at", UtcTime, nullable=False),
)
"""Every change of a direct link, for history."""
