"""The platform graph beyond Backstage's contract: history, changes, paths (`/api/graph`)."""
