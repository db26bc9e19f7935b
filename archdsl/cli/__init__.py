"""The command line: what people type, and nothing else."""
