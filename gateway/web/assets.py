"""The console's files: built by `make console` into `gateway/console/static/`, or found in the installed wheel.

Names below `/assets/` carry a hash of their content, so browsers may keep them for ever; everything else is asked for
anew. Paths of pages belong to the console's own router and are answered with `index.html`; a missing file is a 404.
"""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from gateway.web.phrases import CONSOLE_MISSING
from protocols.errors import NotFoundError

CONSOLE: Final = Path(__file__).resolve().parent.parent / "console" / "static"
RESERVED: Final = frozenset({"api", "whip", "whep", "wall", "healthz", "readyz", "openapi.json", "metrics"})
"""First path segments that belong to programs, never to the console."""
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_PAGE: Final = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>Silian 四联</title>
<style>body{{background:#0b1622;color:#dce7f2;font:16px/1.7 system-ui,sans-serif;margin:20vh auto;
max-width:40rem}}</style>
</head><body><h1>Silian 四联</h1><p>{zh}</p><p lang="en">{en}</p></body></html>
"""


def console_built(folder: Path = CONSOLE) -> bool:
    """Tell whether the console's start page is there."""
    return (folder / "index.html").is_file()


def console_routes(folder: Path | None = None) -> APIRouter:
    """Return the catch-all; include it last."""
    root = (folder or CONSOLE).resolve()
    web = APIRouter(include_in_schema=False)

    @web.api_route("/{path:path}", methods=["GET", "HEAD"])
    def page(path: str, request: Request) -> Response:
        if path.split("/", 1)[0] in RESERVED:
            raise NotFoundError(f"{request.url.path} is not an address of this gateway; see /openapi.json")
        found = (root / path).resolve()
        if path and found.is_relative_to(root) and found.is_file():
            return FileResponse(found, headers={"Cache-Control": _IMMUTABLE if _hashed(path) else "no-cache"})
        if path.startswith("assets/") or "." in path.rsplit("/", 1)[-1]:
            raise NotFoundError(f"{request.url.path} is not a file of the console")
        if not console_built(root):
            zh, en = CONSOLE_MISSING
            return HTMLResponse(_PAGE.format(zh=zh, en=en), 503, {"Cache-Control": "no-store"})
        return FileResponse(root / "index.html", headers={"Cache-Control": "no-cache"})

    return web


def _hashed(path: str) -> bool:
    return path.startswith("assets/")
