"""Latency side by side: archdsl's engines against what their users could pick instead, on the same machine."""
