"""The judge of `silian demo --check`: a program of its own that believes nobody.

It keeps its own list of what was acknowledged to sensors, reads every tier through the public API alone, and decodes
pictures and sound itself. It shares no state with the demo; they talk in lines of JSON on standard input and output.
"""
