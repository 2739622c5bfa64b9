"""Room `federation`: this gateway as a node of the tier above.

It speaks the same link protocol as an agent. What the rooms owe to `upper` goes up and waits for the receipt, commands
come down and are executed here or passed to the next hop, and a heartbeat tells the box's health. It decides nothing
about what is owed: that is written by the rooms.

    store outbox `upper` --records--> upper gateway        upper gateway --commands--> [federation] --> handlers, links
"""
