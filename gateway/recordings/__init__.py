"""Room `recordings`: what was recorded of which stream, by whom and why, and the files.

It decides whether there is room for a recording and when one ends, and names every ending; the files are hashed when
they are closed, and none is removed but by a person's order. Packets and files are the media engine's business; that
the stream comes is the media room's.

    dispatcher --POST--> [recordings] --hold--> media room
    engine --files, RecordingEnded--> [recordings] --row, sha256--> store
"""
