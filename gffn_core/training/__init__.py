"""What a run is, and how one is trained."""
