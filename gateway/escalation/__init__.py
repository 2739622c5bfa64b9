"""Room `escalation`: who is told of an alarm that nobody has taken in hand, and when it goes to the tier above.

It decides by the chain of its own centre (data, versioned) and by rules without hands; every deadline is a row that a
restart finds again. The state of the alarm itself belongs to the alarms room, the ways to people are plug-ins behind
`gateway.ports.notify`.

    alarms --each change, in its own transaction--> [escalation] --timers--> notices --> channels
                                                        └── hand_up, reopen --> alarms --> links
"""
