"""The media engines of several replicas of one gateway as one engine: streams are spread over them.

Only the replica that leads knows users and demands, so it alone places: `engine` implements the `media` port on top of
the engine of its own process and of those of the other replicas. `far` is such an engine as it is seen from here,
`door` its other end, `wire` what they say to each other. Packets never pass through this: a publisher or viewer is
given the address of the replica where it was placed, and `crossings` bring a stream once to each further replica that
needs it.

    rooms --media port--> engine --near--> own worker
                               '---far---HTTP---> door --> worker of another replica
"""
