"""The commands of `evaluate`, one module each."""
