"""Sources that compute their entities elsewhere and push them."""
