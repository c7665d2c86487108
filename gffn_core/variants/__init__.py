"""Relatives of the loss, one family a file."""
