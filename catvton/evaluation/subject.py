"""What is evaluated: a built-in engine with its parser, from its place in the registry or from a training's folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from catvton.cards import ModelCard, read_cards
from catvton.engines import PipelineEngine
from catvton.errors import WeightsError
from catvton.evaluation.parsing import Probabilities
from catvton.evaluation.ways import PlacementOnly, Remembering
from catvton.masking import PARSER
from catvton.options import one_of
from catvton.tryon import TryOn


@dataclass(frozen=True)
class Subject:
    """An engine ready to be measured: as it is, with its network off, and its parser alone."""

    card: ModelCard
    engine: PipelineEngine
    tryon: TryOn
    network_off: TryOn
    probabilities: Probabilities


def subject(name: str, *, folder: Path | None = None, device: str = "auto") -> Subject:
    """The engine of a name, with the weights in `folder` instead of the registry's if one is given.

    A folder without a parser of its own is measured with the parser that ships.

    Raises:
        InputError: there is no engine of that name.
        WeightsError: the engine's or the parser's files are missing or damaged.
    """
    cards = read_cards()
    card = cards[one_of("engine", name, tuple(cards))]
    if folder is not None:
        card = dataclasses.replace(card, folder=folder)
    engine = PipelineEngine(card, device=device)
    own = card.folder / "parser"
    probabilities = _parser(own if own.is_dir() else PARSER, device)
    from model import AutoMasker

    masker = Remembering(AutoMasker(probabilities))
    return Subject(card, engine, TryOn([engine], masker), TryOn([PlacementOnly(engine)], masker), probabilities)


def _parser(folder: Path, device: str) -> Probabilities:
    from catvton.devices import choose
    from model.compact_parser import CompactParser

    try:
        return CompactParser.from_pretrained(folder, device=choose(device)[0]).probabilities
    except (FileNotFoundError, ValueError) as error:
        raise WeightsError(f"The parser in {folder} is missing or damaged ({error}).") from error
