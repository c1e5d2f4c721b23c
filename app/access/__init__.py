"""Who is calling: tokens, the keys behind them, and signing in as a guest."""
