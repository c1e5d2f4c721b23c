"""The history of entities: their changes, what differs between versions, taking changes back."""
