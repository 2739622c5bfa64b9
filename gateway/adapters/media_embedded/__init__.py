"""The embedded media engine: `engine.EmbeddedMediaEngine` in the gateway's loop, packets in a worker process.

Control makes SDP and decides; `worker.py` holds the UDP socket, ICE, DTLS and SRTP and forwards; `decoder.py` turns
one key frame into a still. `rules/` is pure: bytes and time in, effects out.
"""
