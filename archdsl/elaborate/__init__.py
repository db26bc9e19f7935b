"""Syntax tree to graph: names, types, block expansion, finite evaluation."""
