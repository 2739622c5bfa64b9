"""Room `alarms`: the state of every alarm of the subtree, and the log of what brought it there.

Condition, acknowledgement and visibility are separate facts; state applies in origin order per (source, alarm key).
Public warnings (CAP 1.2) enter here as alarms of this gateway.

    links --alarm.*--> [alarms] --rows, owed upward--> federation        console, CAP --> api --> [alarms]
"""
