"""Plain values of the platform graph: no input, no output, no framework."""
