"""Room `registry`: who belongs to this gateway.

It knows the centres of the subtree, the nodes below with their cameras (catalogues) and the state of every link in the
subtree, as told by the gateways below. Other rooms ask it for ways: next hop, owner of a camera, duty node.

    links --catalogue, link.state--> [registry] --next_hop, owner, cameras--> media, rollcall, dispatch, links
"""
