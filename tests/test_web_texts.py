"""The page's words are data: every one the code asks for is there, with its blanks, and none is left over."""

import re
from pathlib import Path
from string import Formatter

import pytest

import catvton.web
from catvton.result import PARTS, SHOWS
from catvton.web.texts import WEB, Texts

SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in Path(catvton.web.__file__).parent.glob("*.py"))
FILLED = {
    "page.step{number}": [1, 2, 3],
    "{slot}.title": ["person", "garment"],
    "{slot}.hint": ["person", "garment"],
    "{slot}.drop": ["person", "garment"],
    "{slot}.alt": ["person", "garment"],
    "{slot}.examples": ["person", "garment"],
    "part.{part}": PARTS,
    "show.{show}": SHOWS,
    "missing.{slot}": ["person", "garment", "result"],
}
STAGES = {f"run.{stage}" for stage in ("waiting", "open", "mask", "place", "generate", "paste", "check")}


def asked_for():
    names = set(re.findall(r'(?:texts|words)[\[(][\'"]([a-z]+\.[a-z_0-9]+)[\'"]', SOURCES)) | STAGES
    names |= {"mask.hint", "mask.empty", "run.licence_free", "run.licence_private"}
    for pattern, values in FILLED.items():
        names |= {re.sub(r"\{\w+\}", str(value), pattern) for value in values}
    return names


@pytest.fixture(scope="module")
def texts():
    return Texts.read()


def test_every_word_the_code_asks_for_is_there_and_none_is_left_over(texts):
    assert set(texts) == asked_for()


def test_every_placeholder_pattern_is_really_in_the_code():
    for pattern in FILLED:
        assert f'"{pattern}"' in SOURCES or f"'{pattern}'" in SOURCES, pattern


@pytest.mark.parametrize(("name", "blanks"), [("run.generate", {"step", "steps"}), ("run.done", {"seconds"}),
                                              ("run.seed", {"seed"}), ("run.failed", {"number"}),
                                              ("run.licence_free", {"engine", "licence"}),
                                              ("run.licence_private", {"engine", "licence"}),
                                              ("api.no_file", {"what"}), ("api.missing", {"what"})])
def test_blanks_are_those_the_code_fills_in(texts, name, blanks):
    assert {field for _, field, _, _ in Formatter().parse(texts[name]) if field} == blanks


def test_an_unknown_name_or_an_empty_blank_is_an_error(texts):
    with pytest.raises(KeyError):
        texts["no.such"]
    with pytest.raises(KeyError):
        texts("run.seed")


def test_the_style_asks_no_other_host():
    css = (WEB / "page.css").read_text(encoding="utf-8")
    assert "http" not in css and "@import" not in css and "url(" not in css
