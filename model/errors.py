"""What can keep a mask from being made. Each message is a sentence the person at the screen can act on."""


class MaskError(ValueError):
    """Base of the errors below."""


class NoPersonFound(MaskError):
    """The photo shows nobody, or somebody too small to dress."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(
            message or "No person was found in the photo. Use a photo of one person, standing, well lit and seen whole."
        )


class PartNotVisible(MaskError):
    """The person is there, but the part to dress lies outside the photo.

    `part` is the part asked for: "upper", "lower" or "overall".
    """

    def __init__(self, part: str, message: str | None = None) -> None:
        self.part = part
        super().__init__(message or f"The photo does not show the part to dress ({part}). Use one that shows it.")


class CheckpointError(ValueError):
    """A file of weights is absent, damaged, or another network's. No `MaskError`: no other photo would help."""
