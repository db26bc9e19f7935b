"""How the picture of a network comes about: its parts, their places, the ways of the wires, and SVG for them."""
