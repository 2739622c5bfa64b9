"""Cameras: a port and one file per kind; pictures are passed through or encoded once."""

from typing import assert_never

from edge_agent.cameras.source import Camera
from edge_agent.settings import CameraKind, CameraSettings


def make_camera(settings: CameraSettings, centre: str) -> Camera:
    """Make the camera of one table of the settings; must run in the loop. It does not start yet."""
    match settings.kind:
        case CameraKind.TESTCARD:
            from edge_agent.cameras.testcard import TestCardCamera

            return TestCardCamera(settings, centre)
        case CameraKind.RTSP:
            from edge_agent.cameras.rtsp import RtspCamera

            return RtspCamera(settings, centre)
        case CameraKind.FILE:
            from edge_agent.cameras.file import file_camera

            return file_camera(settings, centre)
        case CameraKind.V4L2:
            from edge_agent.cameras.v4l2 import V4l2Camera

            return V4l2Camera(settings, centre)
        case _:
            assert_never(settings.kind)
