"""Facts about a graph, worked out without weights and without torch."""
