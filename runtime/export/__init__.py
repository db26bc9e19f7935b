"""From a compiled network to the formats of other runtimes, each held against the oracle."""
