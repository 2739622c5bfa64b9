"""Logging: one line per life event with key=value fields, or one JSON object a line, on standard error.

Write `logger.info("link up", extra={"node": ..., "reason": ...})`: the message is constant, what varies is a field.
**A secret never reaches a log**: fields with its name are blanked, and the password in a camera's address too.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

from typing_extensions import override

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_SECRET = ("token", "password", "secret", "authorization", "private")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    own = {key: value for key, value in vars(record).items() if key not in _STANDARD and value is not None}
    return {key: "***" if any(word in key.lower() for word in _SECRET) else _clean(own[key]) for key in own}


def _clean(value: Any) -> Any:
    return _USER_INFO.sub("***@", value) if isinstance(value, str) else value


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class LineFormatter(logging.Formatter):
    """`2026-11-23T08:00:00.000Z INFO    edge_agent.app link up node=320623-box`."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        pairs = "".join(f" {key}={_word(value)}" for key, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.name} {_clean(record.getMessage())}{pairs}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        body = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _clean(record.getMessage()),
            **_fields(record),
        }
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json.dumps(body, ensure_ascii=False, default=str)


def _word(value: object) -> str:
    text = str(value).replace("\n", "\\n")
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


def start_logging(level: str = "info", *, as_json: bool = False, stream: TextIO | None = None) -> None:
    """Send all loggers to one stream; calling it again replaces the former set-up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for chatty in ("aioice", "aiortc", "httpx", "httpcore", "libav", "asyncio", "uvicorn", "mqtt"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
