"""The graph as it was: the catalog's own questions, answered for a moment in the past."""
