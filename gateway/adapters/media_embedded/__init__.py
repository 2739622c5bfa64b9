"""The embedded media engine: `engine.EmbeddedMediaEngine` in the gateway's loop, packets in a worker process.

::

    engine ── SDP (sdp, sdp_reading), stills ──> decoder      one key frame to a JPEG, a process on demand
      │    └─ recordings ──> recorder                        files of forwarded packets, a process on demand
      │ worker_link: starts, watches, restarts; wire: typed messages over a socket pair
      v
    worker ── hub ── session (ICE, DTLS, SRTP) ── socket_port  one UDP port; upward sessions have a socket each
               │                       └── tcp_port     connections on the same number (RFC 6544), where UDP is blocked
               ├──── taps ──> recorder                       copies of packets over a local socket
               └ seating ─ rules/forward: a stream, its strands (strand: main, thumb, audio; each ingest, gop, wish)
                           rules/seat: a leg (leg, ring) and where it sits: a stream, a layer, or nothing

Control makes SDP and decides, and never touches a packet; the worker knows no users, tiers or tokens. `rules/` is pure:
bytes and time in, effects out. Packets go in batches (`intake`): what comes in within a window, at most until a frame
is whole, is decrypted (`srtp_gcm`), passes the rules as one `Run` for all legs and leaves by `paths`, a frame in one
send. A viewer keeps its SSRC, sequence numbers and time stamps over every change of source, layer or camera; it joins
at the kept group of pictures. A wall is a session with many seats, whose streams are assigned without renegotiation.
"""
