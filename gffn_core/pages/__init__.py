"""What the book shows: figures, sentences and the explorer."""
