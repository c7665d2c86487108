"""The claims, a module a chapter."""
