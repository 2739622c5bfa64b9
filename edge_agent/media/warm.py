"""Importing this module imports all that a first publishing needs."""

import httpx

import edge_agent.media.aiortc_private
import edge_agent.media.peer
import edge_agent.media.tracks

__all__ = ["edge_agent", "httpx"]
