"""The `compiled` backend: the loops that run for each packet in C, everything that decides in the rules as before.

`packets.h` and the C files beside it are the source, `build` compiles them, `library` is their only caller; `srtp`,
`port` and `path` stand where `batched` has its own loops. Without a compiler, or where the library does not load,
`batched` goes on.
"""
