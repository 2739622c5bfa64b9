"""Reading sensor reports from bytes: one JSON object or a list of them."""

import json
from typing import Any

from pydantic import ValidationError

from protocols.alarm import SensorReport
from protocols.envelope import first_fault
from protocols.errors import BadSchemaError, TooLargeError

BODY_BYTES = 1024 * 1024
REPORTS = 1000


def read_reports(body: bytes) -> list[SensorReport]:
    """Return the reports in `body`; raises TooLargeError and BadSchemaError, which name the limit or the field."""
    if len(body) > BODY_BYTES:
        raise TooLargeError(f"{len(body)} bytes, the limit is {BODY_BYTES}; send several requests")
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadSchemaError(f"not valid JSON: {error}") from None
    many = found if isinstance(found, list) else [found]
    if not many:
        raise BadSchemaError("an empty list has no alarm in it")
    if len(many) > REPORTS:
        raise TooLargeError(f"{len(many)} reports, the limit is {REPORTS}; send several requests")
    return [_one(number, report) for number, report in enumerate(many)]


def _one(number: int, report: Any) -> SensorReport:
    try:
        return SensorReport.model_validate(report)
    except ValidationError as error:
        raise BadSchemaError(f"report {number}: {first_fault(error)}") from None
