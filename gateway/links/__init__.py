"""Room `links`: the links to the nodes below.

It receives records in one unit of work (dedupe, handler by type, outbox), answers with receipts after the commit only,
judges whether a link is up and names why not, and carries commands down and their replies back. What
an event changes is decided by the rooms whose handlers it calls.

    child --records--> [links] --unit of work--> handlers (alarms, registry)      [links] --commands--> child
"""
