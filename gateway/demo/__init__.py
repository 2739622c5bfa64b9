"""The demo: four tiers as real processes on loopback, and a check of them whose judge is a program of its own.

It starts the same commands that an operator starts (`serve`, `run`, `provision`) and joins nothing in process, so what
it shows is the product. It imports only the shared language and the settings; everything else goes over HTTP.
"""
