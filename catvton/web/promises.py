"""What the page says about the photos: only what is true of this server's settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from catvton.settings import Settings
    from catvton.web.texts import Texts


@dataclass(frozen=True, kw_only=True)
class Promises:
    """How long this server keeps what.

    Attributes:
        records_days: of the notes about try-ons; history_hours: of results on disk; 0: nothing is kept.
        marked: whether results carry an invisible mark.
    """

    records_days: int = 0
    history_hours: int = 0
    marked: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Promises:
        return cls(records_days=settings.records_days, history_hours=settings.history_hours,
                   marked=settings.watermark != "off")

    def sentences(self, texts: Texts) -> list[str]:
        """In the order they are read."""
        said = [texts["page.photos_memory"], texts["page.photos_disk"], texts["page.photos_gone"]]
        if self.history_hours:
            said.append(texts("page.photos_history", hours=self.history_hours))
        if self.records_days:
            said.append(texts("page.photos_records", days=self.records_days))
        if self.marked:
            said.append(texts["page.photos_marked"])
        return [*said, texts["page.photos_use"]]
