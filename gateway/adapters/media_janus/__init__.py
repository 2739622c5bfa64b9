"""Janus as a media engine: `api` speaks with its HTTP interface, `videoroom` with its plugin, `server` runs one here.

`engine` implements the `media` port, `connection` keeps one Janus in sight, `publication` owns one publisher, `offers`
translates what it is told.

Janus forwards packets of publishers to subscribers much as the embedded engine does, in C. It takes no viewer's offer:
a subscriber is offered to. It never uses loopback, so that even a Janus on this machine needs another address.
"""
