"""Background work: when sources are due, who reads them, and what each run came to."""
