"""WebRTC: publishing by WHIP, listening by WHEP."""
