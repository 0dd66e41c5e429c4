"""Measuring the built-in model by one fixed protocol, so that figures compare across versions. Nothing here trains."""

SECTIONS = ("parser", "paired", "unpaired", "words", "seconds")
