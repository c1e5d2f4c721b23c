"""Outgoing webhooks: what happens, told to those who asked for it."""
