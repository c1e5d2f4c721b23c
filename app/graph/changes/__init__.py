"""The change feed: what happened to entities, page by page and as it happens."""
