"""Logging: one line per life event with key=value fields, on standard error.

Levels: `error` needs a person now, `warning` tells of something that the system bears, `info` is the life of things
(link up, call ended), `debug` is for developers. Write `logger.info("link up", extra={"node": ..., "reason": ...})`:
the message is constant, what varies is a field. **A secret never reaches a log**: fields with its name are blanked.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from typing_extensions import override

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_SECRET = ("token", "password", "secret", "authorization", "cookie", "private")
BLANK = "***"


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the record's own fields, secrets blanked."""
    own = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return {key: BLANK if any(word in key.lower() for word in _SECRET) else value for key, value in own.items()}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """`2026-11-23T08:00:00.000Z INFO  gateway.links link up node=320623-box`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        pairs = "".join(f" {key}={_word(value)}" for key, value in fields_of(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.name} {record.getMessage()}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the fields."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        body: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json.dumps(body, ensure_ascii=False, default=str)


def _word(value: object) -> str:
    text = str(value).replace("\n", "\\n")
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


def start_logging(level: str = "info", *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Send all loggers to one stream (default: standard error); calling it again replaces the former set-up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("aioice", "aiortc", "httpx", "httpcore", "amqtt", "transitions", "alembic", "asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
