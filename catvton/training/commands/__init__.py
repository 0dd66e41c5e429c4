"""The commands of `train`, one module each."""
