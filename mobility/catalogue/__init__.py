"""The available exercises and joints, from this package and from others."""
