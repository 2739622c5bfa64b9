"""Room `rollcall`: one button asks every county whether it is there, and keeps the proof.

A point is present only if a fresh picture was decoded here after the ring and was seen alive over the observation
window; else it is absent with a named reason. Pictures come from the media room, rings go through the links, and
whether a link is down is the registry's word.

    operator --start--> [rollcall] --rollcall.ring--> county      media --stills--> [rollcall] --rows, blobs--> result
"""
