"""The graph and its ops."""
