"""Room `federation`: this gateway as a node of the tier above.

It runs the same link code as an agent: what the rooms owe to `upper` goes up and waits for the receipt, commands come
down and are executed here or passed to the next hop, and a heartbeat tells the box's health.

    store outbox `upper` --records--> upper gateway        upper gateway --commands--> [federation] --> handlers, links
"""
