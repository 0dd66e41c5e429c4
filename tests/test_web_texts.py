"""The page's words are data: each the code asks for is there in each language, with its blanks; none is left over."""

import re
from pathlib import Path
from string import Formatter

import pytest

import catvton
from catvton.errors import InputError
from catvton.result import LAYERS, PARTS, SHOWS
from catvton.safety import sieve
from catvton.settings import Settings
from catvton.web.examples import read_examples
from catvton.web.fragments_painting import DEEDS, TOOLS
from catvton.web.promises import Promises
from catvton.web.studio import SLOTS
from catvton.web.texts import LANGUAGES, WEB, WHATS, Texts, every_language, preferred
from catvton.web.wishes import OUTFIT
from model import coverage, parsing

ROOT = Path(catvton.__file__).parent
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "web").glob("*.py"))
DESK = ("training", "evaluation", "datasets")  # what is done at a desk, with no visitor of the page near
EVERYWHERE = "\n".join(
    path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in DESK
)
STAGES = {*re.findall(r'track\.stage\("(\w+)"', (ROOT / "tryon.py").read_text(encoding="utf-8"))} - {"generate"}
OPTIONS = ("steps", "guidance", "seed", "variations", "engine")
FILLED = {  # names with a blank, as they stand in the code, and what may be in it
    "page.step{number}": (1, 2, 3),
    "{slot}.title": (*SLOTS, "top"),
    "{slot}.hint": (*SLOTS, "top"),
    "{slot}.drop": SLOTS,
    "{slot}.alt": SLOTS,
    "{slot}.camera": SLOTS,
    "{slot}.examples": ("person", "garment"),
    "part.{part}": (*PARTS, *LAYERS, OUTFIT),
    "part.{look.part}": (*PARTS, *LAYERS, OUTFIT),
    "show.{show}": SHOWS,
    "missing.{slot}": (*SLOTS, "result"),
    "advanced.{name}": OPTIONS,
    "advanced.{name}_info": OPTIONS,
    "result.{name}": ("download", "download_comparison", "again"),
    "run.{stage}": STAGES,
    "paint.{name}": (*TOOLS, *DEEDS),
    "example.{example.path.stem}": [example.path.stem for kind in read_examples().values() for example in kind],
}
# Errors that no visitor of the page can bring about: of the command line, of the REST door, of Python callers.
ELSEWHERE = re.compile(
    r"(accept|accounts?|data|example|form|hub|jobs?|login|output|records|serve|trace)\.\w+"
    r"|image\.(array|not_found|type)|option\.(picture|repo|show)"
)


def asked_for():
    """Names that stand in the code as they are, and those with their blanks filled in."""
    names = set(re.findall(r'texts[\[(]\s*[\'"]([\w.-]+)[\'"]', SOURCES))
    for pattern, values in FILLED.items():
        names |= {re.sub(r"\{[\w.]+\}", str(value), pattern) for value in values}
    return names


def blanks(sentence):
    return {field for _, field, _, _ in Formatter().parse(sentence) if field}


@pytest.fixture(params=LANGUAGES)
def texts(request):
    return Texts.read(request.param)


def test_every_word_the_code_asks_for_is_there(texts):
    assert asked_for() - set(texts) == set()


def test_no_word_is_left_over(texts):
    quoted = {name for name in texts if f'"{name}"' in SOURCES or f"'{name}'" in SOURCES}
    theirs = {name for name in texts if name.startswith("gradio.")}  # looked up by what gradio says: see page.js
    assert set(texts) - asked_for() - quoted - theirs == set()


def test_every_name_with_a_blank_is_one_of_these():
    found = {name for _, name in re.findall(r'texts(?:\.get)?[\[(]f(["\'])(.+?)\1', SOURCES)}
    assert found == set(FILLED)


def test_all_languages_say_the_same_with_the_same_blanks(texts):
    english = Texts.read()
    assert set(texts) == set(english)
    assert [name for name in texts if blanks(texts[name]) != blanks(english[name])] == []
    assert [name for name in texts if not texts[name].strip()] == []


def test_what_is_not_english_is_not_left_in_english():
    english, indonesian = Texts.read("en"), Texts.read("id")
    assert [name for name in english if english[name] == indonesian[name]] == ["page.title"]


def errors_of_the_page():
    """Codes of the errors a visitor may bring about."""
    found = {f"option.{name}" for name in (*OPTIONS, "part")}
    found |= set(re.findall(r'code="([a-z_]+\.[a-z_]+)"', EVERYWHERE))
    found |= set(re.findall(r'"((?:person|part|moderation)\.\w+)"(?= if| else|:)', EVERYWHERE))
    return {code for code in found if not ELSEWHERE.fullmatch(code)}


@pytest.mark.parametrize("code", sorted(errors_of_the_page()))
def test_every_error_of_the_page_is_told_in_indonesian(code):
    english = "The garment photo is not of this world."
    told = every_language()["id"].of_error(InputError(english, code=code))
    assert told != english and not blanks(told)


def test_an_error_says_which_picture_it_is_about_and_an_unknown_one_is_told_as_it_is():
    texts = every_language()["id"]
    for slot, what in WHATS.items():
        told = texts.of_error(InputError(f"The {what} is damaged.", code="image.broken"))
        assert told.startswith({"person": "Foto orang", "garment": "Foto pakaian", "mask": "Bagian"}[slot])
    assert texts.of_error(InputError("Nobody knows this.", code="never.heard")) == "Nobody knows this."


def notes_of_the_library():
    yield from (value for module in (coverage, parsing) for name, value in vars(module).items()
                if name.startswith("NOTE_"))
    yield from (sieve._said(count, 4)["notes"][0] for count in (1, 2))
    said = re.search(r"say\(f'(.+?)'\)", EVERYWHERE)[1]
    yield re.sub(r"\{.+?\}", "sluggish", said)


@pytest.mark.parametrize("note", list(notes_of_the_library()), ids=lambda note: note[:30])
def test_every_note_of_a_result_is_told_in_indonesian(note):
    told = every_language()["id"].of_note(note)
    assert told != note and not blanks(told)
    assert re.findall(r"\d+|sluggish", told) == re.findall(r"\d+|sluggish", note)
    assert every_language()["en"].of_note(note) == note


def test_an_unknown_name_or_an_empty_blank_is_an_error(texts):
    with pytest.raises(KeyError):
        texts["no.such"]
    with pytest.raises(KeyError):
        texts("run.seed")


@pytest.mark.parametrize(("wanted", "language"), [(["id-ID", "en"], "id"), (["fr", "en-GB", "id"], "en"),
                                                  (["nl"], "en"), ([], "en"), ([" ID "], "id")])
def test_the_language_is_the_first_that_is_spoken(wanted, language):
    assert preferred(wanted) == language


@pytest.mark.parametrize(("settings", "said"), [
    ({"history_hours": 0, "records_days": 0, "watermark": "off"}, set()),
    ({"history_hours": 7, "records_days": 0, "watermark": "on"}, {"history", "marked"}),
    ({"history_hours": 0, "records_days": 31}, {"records", "marked"}),
])
def test_what_is_promised_about_the_photos_is_true_of_the_settings(texts, settings, said):
    sentences = Promises.of(Settings(**settings)).sentences(texts)
    for name in ("history", "records", "marked"):
        assert (texts(f"page.photos_{name}", hours=7, days=31) in sentences) == (name in said)
    always = {texts[f"page.photos_{name}"] for name in ("memory", "disk", "gone", "use")}
    assert always <= set(sentences) and len(sentences) == len(always) + len(said)


def test_the_style_and_the_script_ask_no_other_host():
    for name in ("page.css", "page.js"):
        source = (WEB / name).read_text(encoding="utf-8")
        assert "http" not in source and "@import" not in source and "url(" not in source
