"""Errors as RFC 9457 problem details: the only place that turns an exception into HTTP.

`code` is stable and machine-readable, `title` the sentence of the catalogue, `detail` what to do next: in Chinese
unless `Accept-Language` asks for another language first, else the error's own English sentence. `info` keeps that
English sentence whatever the language, so that nothing the error knows is lost.
"""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from gateway.web.phrases import FAULTS, UNKNOWN_FAULT, sentence, wants_chinese
from protocols.errors import LockedError, NotAuthenticatedError, SilianError

MEDIA_TYPE = "application/problem+json"
logger = logging.getLogger(__name__)
_CODES = {401: "not_authenticated", 403: "not_allowed", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


def problem(
    request: Request, code: str, status: int, *, info: str = "", headers: dict[str, str] | None = None, **members: Any
) -> JSONResponse:
    """Build one problem answer. `members` are further fields and the sentence's parameters."""
    chinese = wants_chinese(request.headers.get("accept-language"))
    title = sentence(code, chinese=chinese, **members)
    body = {
        "type": f"urn:silian:problem:{code}",
        "title": title,
        "status": status,
        "detail": title if chinese or not info else info,
        "code": code,
        "instance": request.url.path,
        **members,
    }
    if info:
        body["info"] = info
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def install_problems(app: FastAPI) -> None:
    """Register the handlers; call once per FastAPI application."""
    app.add_exception_handler(SilianError, _on_silian_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_crash)


def of_error(request: Request, error: SilianError) -> JSONResponse:
    """Return the answer for an error of the tree."""
    headers: dict[str, str] = {}
    members: dict[str, Any] = {}
    if isinstance(error, NotAuthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, LockedError):
        headers["Retry-After"] = str(error.retry_after_s)
        members["seconds"] = error.retry_after_s
    return problem(request, error.code, error.status, info=str(error), headers=headers, **members)


async def _on_silian_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, SilianError):
        raise AssertionError("registered for SilianError alone")
    if error.status >= 500:
        logger.warning("request failed", extra={"path": request.url.path, "code": error.code, "error": str(error)})
    return of_error(request, error)


async def _on_validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise AssertionError("registered for RequestValidationError alone")
    chinese = wants_chinese(request.headers.get("accept-language"))
    faults = [_fault(fault, chinese=chinese) for fault in error.errors()[:20]]
    what = "；".join(f"{f['where']} {f['message']}" for f in faults[:3])
    return problem(request, "validation", HTTPStatus.UNPROCESSABLE_ENTITY, what=what, errors=faults)


def _fault(fault: dict[str, Any], *, chinese: bool) -> dict[str, str]:
    where = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path")) or "body"
    kind = str(fault["type"])
    return {"where": where, "type": kind, "message": FAULTS.get(kind, UNKNOWN_FAULT) if chinese else str(fault["msg"])}


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise AssertionError("registered for HTTPException alone")
    code = _CODES.get(error.status_code, "bad_input" if error.status_code < 500 else "internal")
    return problem(request, code, error.status_code, info=str(error.detail), headers=dict(error.headers or {}))


async def _on_crash(request: Request, error: Exception) -> Response:
    logger.error("request crashed", extra={"path": request.url.path}, exc_info=error)
    return problem(request, "internal", 500)
