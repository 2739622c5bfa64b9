"""Room `warning`: public warnings (预警), taken in and written here, and call-and-confirm (叫应).

It decides who may issue what, that two persons stand behind each word, and whether the listed persons were reached. How
a message gets to a person is the escalation room's, how a warning from outside is read the alarms room's business.

    alarms --each CAP message, in its own transaction--> [warning] --letters, timers--> escalation --> people
    officers --draft, review, sign--> [warning] --> Atom feed, outlets, tier above
"""
