"""What you can see of a state directory: `read` gives it as values, every other module renders those values."""
