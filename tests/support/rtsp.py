"""The demo's RTSP camera as a test server: `async with rtsp_camera("320685") as camera: camera.url`."""

import asyncio
import contextlib

from gateway.demo.rtsp_camera import RtspCamera


@contextlib.asynccontextmanager
async def rtsp_camera(code: str, port: int = 0):
    """Serve a card until the end of the block; open connections are cut then."""
    async with RtspCamera(code, port=port) as camera:
        drawing = asyncio.ensure_future(camera.run())
        try:
            yield camera
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)
