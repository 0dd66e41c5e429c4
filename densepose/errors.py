"""What can go wrong in finding a body, as sentences a person can act on."""

from __future__ import annotations


class DensePoseError(ValueError):
    """Base of the errors below."""


class ConfigError(DensePoseError):
    """A config file that is missing, unreadable, has an unknown key, or asks for something this package cannot do."""


class WeightsFileError(DensePoseError):
    """A weights file that is missing, damaged, not plain arrays, or of another network; names what does not fit."""


class BackendMissing(DensePoseError):
    """The real Detectron2 was asked for and is not installed, or cannot be started; says how to install it."""
