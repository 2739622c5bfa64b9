"""The language that every node of Silian speaks: pure data and rules, no I/O.

Modules here take bytes, values and time as arguments and return values; only `protocols.aio` touches sockets, disks
and clocks. The gateway and the agent both import this package and never each other.
"""
