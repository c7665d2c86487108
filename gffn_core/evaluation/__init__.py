"""What is measured on a trained net."""
