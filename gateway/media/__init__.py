"""Room `media`: who wants to see which stream, and what must be asked of the next hop so that it comes.

It decides when a stream is asked for, renewed and given back, and when it is relayed to the tier above: a stream
crosses a link once, and only while somebody watches it. It also keeps who is muted for everybody here. Packets are the
engine's business (`gateway.ports.media`), ways and cameras the registry's, commands the links'.

    viewers, roll calls, calls, the tier above --want--> [media] --media.publish--> next hop
    publishers, viewers --WHIP, WHEP--> [media] --offers--> engine --stream changed, session ended--> [media]
"""
