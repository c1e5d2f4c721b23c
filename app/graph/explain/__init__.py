"""Why an entity is as it is, or is not."""
