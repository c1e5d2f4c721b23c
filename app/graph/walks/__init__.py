"""What is connected: neighbours, impact, paths, and walks of any kind."""
