"""Actions: one file is one step that a template can run (see `app.ports`)."""
