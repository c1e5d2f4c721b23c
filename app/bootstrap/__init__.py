"""The composition root: configuration in, joined objects out. It chooses and joins."""
