"""What changed files would do to the graph, before they are merged."""
