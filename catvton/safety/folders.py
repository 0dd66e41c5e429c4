"""Which engine has which Stable Diffusion checker: each folder's is read at first use, once, whoever shares it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from catvton.errors import WeightsError

if TYPE_CHECKING:
    from catvton.cards import ModelCard
    from catvton.safety import Checker

log = logging.getLogger(__name__)

FolderOf = Callable[["ModelCard"], Path | None]


def registered_folder(card: ModelCard) -> Path | None:
    """Where a card of the registry keeps its `safety_checker/`; None for an engine that has none among its sources.

    Raises:
        WeightsError: it has one that was never completely downloaded.
    """
    if not any(source.role == "safety" for source in card.sources):
        return None
    folder = card.paths.get("safety")
    if folder is None:  # downloaded when the registry did not name it yet
        raise WeightsError(f'The engine "{card.name}" lacks its safety checker.')
    return folder / "safety_checker"


class StableDiffusionCheckers:
    """`TryOn`'s `safety`, for engines that come with an official `safety_checker/`, `feature_extractor/` beside it.

    Args:
        folder_of: tells a card's `safety_checker/` folder; None if that engine needs no checker.
        adjustment: added to every score; positive is stricter.
        device, dtype: as in `catvton.devices.choose`; float32, because half precision moves scores by what decides.
    """

    def __init__(
        self,
        folder_of: FolderOf = registered_folder,
        *,
        adjustment: float = 0.0,
        device: str = "auto",
        dtype: str = "float32",
    ) -> None:
        self._folder_of = folder_of
        self._adjustment, self._device, self._dtype = adjustment, device, dtype
        self._checkers: dict[Path, Checker] = {}
        self._loading = threading.Lock()

    def __call__(self, card: ModelCard) -> Checker | None:
        """The card's checker. Raises WeightsError when it should have one and it is not complete."""
        try:
            folder = self._folder_of(card)
            return None if folder is None else self._checker(folder)
        except WeightsError as error:
            told = str(error)
            raise WeightsError(told if card.mend in told else f"{told} To bring it back: {card.mend}") from error

    def _checker(self, folder: Path) -> Checker:
        with self._loading:
            if folder not in self._checkers:
                self._checkers[folder] = self._read(folder)
            return self._checkers[folder]

    def _read(self, folder: Path) -> Checker:
        from catvton.devices import choose
        from catvton.safety.stable_diffusion import StableDiffusionChecker

        device, dtype = choose(self._device, self._dtype)
        checker = StableDiffusionChecker.from_folder(folder, adjustment=self._adjustment, device=device, dtype=dtype)
        log.info("safety checker loaded, adjustment %g", self._adjustment)
        return checker
