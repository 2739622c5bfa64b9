"""Room `orders`: orders to units below (指令), signed, sent down the tiers, and followed until each unit is done.

It decides who may sign, how far each unit has come, and who is reminded when nobody signs for an order in time. How a
command crosses the links is the links room's business, how words reach a person and how a timer survives the
escalation room's, who is on duty the duty room's.

    officers --draft, sign, send--> [orders] --order.sent--> gateway below --> [orders]: shown, signed for, reported on
    gateway below --order.answered--> [orders]: the board of units, deadlines
"""
