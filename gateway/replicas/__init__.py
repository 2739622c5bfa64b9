"""Room `replicas`: several processes of one gateway share its work over one database.

It keeps leases as rows (which replica consumes a node's branch, which one leads), renews its own, takes what has run
out, and fences: a transaction that needs a lease is refused once another replica has taken it. It tells what happened
here to the other replicas over the port `bus`, and what happened there to the rooms here. What is done under a lease is
the business of `gateway.app` and of the rooms.

    [replicas] --lead, branches--> app, links        events --[replicas]--> bus --> the other replicas
"""
