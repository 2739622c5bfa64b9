"""Room `dispatch`: calls between this centre and a county, both sides seen and heard.

It decides who is rung, when a call is connected, and with which named reason it ends; one county is in one call at a
time. The streams of both sides are the media room's, rings and hang-ups go through the links, and who may call is the
web layer's check.

    operator --call--> [dispatch] --call.ring--> county agent, or county gateway's own console --answer--> both watch
"""
