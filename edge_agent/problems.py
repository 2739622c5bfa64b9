"""Errors as RFC 9457 problem documents."""

from starlette.responses import JSONResponse

from protocols.errors import LockedError, SilianError


def problem(error: SilianError) -> JSONResponse:
    """Return the answer for an error of our tree: its status, stable code and one sentence of advice."""
    body = {
        "type": "about:blank",
        "title": error.code,
        "status": error.status,
        "code": error.code,
        "detail": str(error),
    }
    wait = error.retry_after_s if isinstance(error, LockedError) else 5
    headers = {"Retry-After": str(wait)} if error.retry else None
    return JSONResponse(body, error.status, headers=headers, media_type="application/problem+json")
