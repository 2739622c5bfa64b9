"""Rules of the audit chain: how a record is hashed, and how a break is found.

**hash(n) = SHA-256(hash(n-1) + canonical JSON of record n)**; the first record follows `GENESIS`. Changing, removing,
inserting or exchanging records breaks the chain at the first place touched.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Record:
    """One deed. `at_us`: microseconds since 1970, exactly as stored."""

    seq: int
    at_us: int
    actor: str
    action: str
    target: str
    outcome: int
    address: str
    previous: str
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking a chain found: `fault` is None where it is whole, else a sentence naming the place."""

    records: int
    head: str
    fault: str | None = None


def digest(record: Record) -> str:
    """Return the hash that the record must bear."""
    body = [record.seq, record.at_us, record.actor, record.action, record.target, record.outcome, record.address]
    text = record.previous + json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def verify(records: Iterable[Record]) -> Verdict:
    """Check a chain in order of `seq`; stops at the first fault."""
    head, count = GENESIS, 0
    for record in records:
        count += 1
        if record.seq != count:
            return Verdict(count, head, f"record {count} is missing: the next one found is {record.seq}")
        if record.previous != head:
            return Verdict(count, head, f"record {record.seq} does not follow the one before it")
        if digest(record) != record.hash:
            return Verdict(count, head, f"record {record.seq} was changed after it was written")
        head = record.hash
    return Verdict(count, head)
