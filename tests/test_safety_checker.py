"""The Stable Diffusion checker: its arithmetic, its files, and that what is not whole never passes anything."""

import json
import math
import pickle
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from safetensors.torch import load_file
from transformers.utils import logging as transformers_logging

from catvton.cards import ModelCard, read_cards
from catvton.errors import WeightsError
from catvton.hub.lock import Install, Pin
from catvton.hub.sources import Source
from catvton.hub.store import Store
from catvton.safety.folders import StableDiffusionCheckers, registered_folder
from catvton.safety.stable_diffusion import Concepts, StableDiffusionChecker
from catvton.settings import Settings
from catvton.tryon import TryOn
from tests import tiny, tiny_checker

PICTURES = tiny_checker.pictures(24)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tiny_checker.write(tmp_path)


@pytest.fixture(scope="module")
def checker(tmp_path_factory) -> StableDiffusionChecker:
    return StableDiffusionChecker.from_folder(tiny_checker.write(tmp_path_factory.mktemp("checker")))


def state(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def scores(checker: StableDiffusionChecker, pictures=PICTURES) -> np.ndarray:
    return np.array([list(verdict.scores.values()) for verdict in checker.check(pictures)])


# ---- the arithmetic --------------------------------------------------------------------------------------------------


def drawn(random: np.random.Generator) -> tuple[Concepts, np.ndarray]:
    """Concepts and an embedding in general position; thresholds near what random cosines reach."""
    def rows(count: int) -> np.ndarray:
        return (random.normal(size=(count, 12)) * random.uniform(0.1, 30, (count, 1))).astype(np.float32)

    def thresholds(count: int) -> np.ndarray:
        return random.uniform(0.3, 0.8, count).astype(np.float32)

    concepts = Concepts(concepts=rows(17), thresholds=thresholds(17), special=rows(3), special_thresholds=thresholds(3))
    return concepts, rows(1)[0]


def plainly(concepts: Concepts, embedding: np.ndarray, adjustment: float) -> tuple[bool, dict[str, float], float]:
    """The description word for word, number by number in double precision, as (flagged, scores, how close a call)."""
    def cosine(row: np.ndarray) -> float:
        a, b = [float(x) for x in row], [float(x) for x in embedding]
        return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)

    exact = {}
    for index in range(3):
        score = cosine(concepts.special[index]) - float(concepts.special_thresholds[index]) + adjustment
        exact[f"special-care {index}"] = score
    careful = any(round(score, 3) > 0 for score in exact.values())
    for index in range(17):
        score = cosine(concepts.concepts[index]) - float(concepts.thresholds[index]) + adjustment
        exact[f"concept {index}"] = score + 0.01 if careful else score
    rounded = {name: round(score, 3) for name, score in exact.items()}
    flagged = any(rounded[f"concept {index}"] > 0 for index in range(17))
    closest = min(abs(abs(1000 * score) % 1 - 0.5) for score in exact.values()) / 1000  # to where rounding turns
    return flagged, rounded, closest


@pytest.mark.parametrize("adjustment", [0.0, 0.05, -0.2])
def test_arithmetic_is_the_published_one(adjustment):
    random, outcomes = np.random.default_rng(3), set()
    for _ in range(300):
        concepts, embedding = drawn(random)
        flagged, expected, closest = plainly(concepts, embedding, adjustment)
        if closest < 2e-6:
            continue  # single precision may round the other way
        verdict = concepts.judge(embedding, adjustment=adjustment)
        assert dict(verdict.scores) == expected
        assert verdict.flagged is flagged
        assert verdict.hits == tuple(name for name, score in expected.items() if score > 0)
        outcomes.add((flagged, any(name.startswith("special") for name in verdict.hits)))
    assert len(outcomes) == 4  # flagged or not, with special care or without: all of them happened


def single(*, concept: float, special: float = -1.0) -> Concepts:
    """For the embedding (1, 0): one concept `concept` above its threshold, one special-care one likewise."""
    row = np.array([[1.0, 0.0]], np.float32)
    return Concepts(
        concepts=row, thresholds=np.array([1 - concept], np.float32),
        special=row, special_thresholds=np.array([1 - special], np.float32),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("concept", "special", "adjustment", "flagged", "score"),
    [
        (0.0004, -1, 0.0, False, 0.0),  # rounded to 0 before it is compared
        (0.0006, -1, 0.0, True, 0.001),
        (-0.0006, -1, 0.0, False, -0.001),
        (-0.008, 0.0004, 0.0, False, -0.008),
        (-0.008, 0.0006, 0.0, True, 0.002),  # a special-care hit adds 0.01
        (-0.012, 0.3, 0.0, False, -0.002),
        (-0.02, -1, 0.05, True, 0.03),  # positive is stricter
        (0.02, -1, -0.05, False, -0.03),
        (-0.008, -0.04, 0.05, True, 0.052),  # the adjustment counts for special care too
        (-0.008, 0.04, -0.05, False, -0.058),
    ],
)
def test_rounding_special_care_and_adjustment(concept, special, adjustment, flagged, score):
    verdict = single(concept=concept, special=special).judge(np.array([2.0, 0.0], np.float32), adjustment=adjustment)
    assert (verdict.flagged, verdict.scores["concept 0"]) == (flagged, score)


def test_several_special_care_hits_add_no_more_than_one():
    one = single(concept=-0.008, special=0.1)
    three = replace(one, special=np.repeat(one.special, 3, 0), special_thresholds=np.full(3, 0.9, np.float32))
    embedding = np.array([1.0, 0.0], np.float32)
    assert three.judge(embedding).scores["concept 0"] == one.judge(embedding).scores["concept 0"] == 0.002


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_an_error_and_no_pass(value):
    with np.errstate(invalid="ignore"), pytest.raises(WeightsError, match="not finite"):
        single(concept=-0.5).judge(np.array([value, 0.0], np.float32))


# ---- the whole checker -----------------------------------------------------------------------------------------------


def test_verdicts_are_those_of_the_published_model(checker):
    model = tiny_checker.tiny_model()
    arrays = np.stack([np.asarray(picture) / 255 for picture in PICTURES])
    _, published = model(images=arrays, clip_input=tiny_checker.prepared(PICTURES))
    verdicts = checker.check(PICTURES)
    assert [verdict.flagged for verdict in verdicts] == published
    assert {True, False} == set(published)
    assert any(verdict.flagged and "concept 2" not in verdict.hits for verdict in verdicts)  # by special care only


def test_a_verdict_does_not_depend_on_the_batch(checker):
    together = checker.check(PICTURES)
    alone = [checker.check([picture])[0] for picture in PICTURES]
    backwards = checker.check(PICTURES[::-1])[::-1]
    assert together == alone == backwards
    assert checker.check([]) == []


def test_adjustment_moves_the_verdict(folder):
    counts = []
    for adjustment in (-0.5, -0.005, 0.0, 0.02, 0.5):
        checker = StableDiffusionChecker.from_folder(folder, adjustment=adjustment)
        counts.append(sum(verdict.flagged for verdict in checker.check(PICTURES)))
    assert counts[0] == 0 and counts[-1] == 24
    assert counts == sorted(counts) and len(set(counts)) == 5


def test_pictures_are_left_as_they_are(checker):
    pictures = tiny_checker.pictures(24)
    checker.check(pictures)
    assert all(np.array_equal(a, b) for a, b in zip(pictures, PICTURES, strict=True))


# ---- files -----------------------------------------------------------------------------------------------------------


def test_old_keys_give_the_same_scores(folder, checker):
    tiny_checker.save(folder, tiny_checker.old_keys(state(folder)))
    assert np.array_equal(scores(StableDiffusionChecker.from_folder(folder)), scores(checker))


def test_an_old_config_gives_the_same_scores(folder, checker):
    """The published config.json was written by an early transformers 4: other words, some of them twice."""
    config = json.loads((folder / "config.json").read_text())
    old = {"attention_dropout", "hidden_act", "hidden_size", "image_size", "intermediate_size", "layer_norm_eps",
           "num_attention_heads", "num_hidden_layers", "patch_size"}  # fmt: skip
    vision = {key: config["vision_config"][key] for key in old}
    (folder / "config.json").write_text(json.dumps({
        "_name_or_path": "somebody/safety-checker", "architectures": ["StableDiffusionSafetyChecker"],
        "initializer_factor": 1.0, "logit_scale_init_value": 2.6592, "model_type": "clip",
        "projection_dim": config["projection_dim"], "torch_dtype": "float32", "transformers_version": None,
        "text_config": config["text_config"] | {"bad_words_ids": None, "num_beams": 1, "_name_or_path": ""},
        "text_config_dict": {"hidden_size": 16, "num_attention_heads": 2},  # wins over text_config; so does the other
        "vision_config": vision | {"bad_words_ids": None, "num_beams": 1, "dropout": 0.0, "torch_dtype": None},
        "vision_config_dict": {key: vision[key] for key in old if "size" in key or key.startswith("num_")},
    }))  # fmt: skip
    assert np.array_equal(scores(StableDiffusionChecker.from_folder(folder)), scores(checker))


def test_the_half_precision_file_is_read_where_there_is_no_other(folder, checker):
    half = {key: value.half() for key, value in state(folder).items()}
    (folder / "model.safetensors").unlink()
    tiny_checker.save(folder, half, "model.fp16.safetensors")
    found = scores(StableDiffusionChecker.from_folder(folder))
    assert 0 < np.abs(found - scores(checker)).max() < 5e-3


def test_a_pickle_is_read_where_there_is_nothing_else(folder, checker):
    old = tiny_checker.old_keys(state(folder))
    (folder / "model.safetensors").unlink()
    torch.save(old, folder / "pytorch_model.bin")
    assert np.array_equal(scores(StableDiffusionChecker.from_folder(folder)), scores(checker))
    torch.save({key: value for key, value in old.items() if key != "concept_embeds"}, folder / "pytorch_model.bin")
    assert "concept_embeds" in refusal(folder)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float16, 5e-3), (torch.bfloat16, 3e-2)])
def test_half_precision_computes_nearly_the_same(folder, checker, dtype, near):
    found = scores(StableDiffusionChecker.from_folder(folder, dtype=dtype), PICTURES[:6])
    assert np.abs(found - scores(checker, PICTURES[:6])).max() < near


def test_newer_preprocessor_files_and_other_folders_work(folder, checker, tmp_path):
    other = tmp_path / "elsewhere"
    (folder.parent / "feature_extractor").rename(other)
    newer = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32},
             "image_processor_type": "CLIPImageProcessor"}  # fmt: skip
    (other / "preprocessor_config.json").write_text(json.dumps(tiny_checker.PREPROCESSOR | newer))
    assert np.array_equal(scores(StableDiffusionChecker.from_folder(folder, other)), scores(checker))


def test_reading_says_nothing_and_leaves_the_logging_as_it_was(folder, capfd, caplog):
    level, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    StableDiffusionChecker.from_folder(folder)
    tiny_checker.save(folder, {key: value for key, value in state(folder).items() if "mlp" not in key})
    with pytest.raises(WeightsError):
        StableDiffusionChecker.from_folder(folder)
    assert capfd.readouterr() == ("", "") and not caplog.records
    assert (transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()) == (level, bar)


# ---- never a pass ----------------------------------------------------------------------------------------------------


def refusal(folder: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        StableDiffusionChecker.from_folder(folder)
    return str(caught.value)


@pytest.mark.parametrize("key", [
    "concept_embeds", "concept_embeds_weights", "special_care_embeds", "special_care_embeds_weights",
    "visual_projection.weight", "vision_model.encoder.layers.1.mlp.fc1.bias",
    "vision_model.embeddings.position_embedding.weight",
])  # fmt: skip
@pytest.mark.parametrize("old", [False, True])
def test_a_missing_tensor_is_named(folder, key, old):
    partial = {name: value for name, value in state(folder).items() if name != key}
    tiny_checker.save(folder, tiny_checker.old_keys(partial) if old else partial)
    assert key in refusal(folder) and "missing" in refusal(folder)


def test_a_tensor_of_another_shape_is_named(folder):
    for key in ("concept_embeds", "vision_model.post_layernorm.bias"):
        whole = state(folder)
        tiny_checker.save(folder, whole | {key: whole[key][:-1]})
        assert key in refusal(folder) and "mismatched" in refusal(folder)
        tiny_checker.save(folder, whole)


def test_a_tensor_too_many_is_named(folder):
    tiny_checker.save(folder, state(folder) | {"p_head.weight": torch.zeros(1, 8)})
    assert "p_head.weight" in refusal(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert f"lacks {name}" in refusal(folder)


def test_missing_folders_are_named(folder, tmp_path):
    (folder.parent / "feature_extractor" / "preprocessor_config.json").unlink()
    assert "lacks preprocessor_config.json" in refusal(folder)
    (folder.parent / "feature_extractor").rmdir()
    assert "lacks preprocessor_config.json" in refusal(folder)
    assert "lacks config.json" in refusal(tmp_path / "nothing")


class Malicious:
    def __reduce__(self):
        return print, ("it ran",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_may_hold_nothing_but_tensors(folder, capfd, zipped):
    hostile = state(folder) | {"concept_embeds": Malicious()}
    (folder / "model.safetensors").unlink()
    torch.save(hostile, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert str(folder) in refusal(folder)
    for data in (b"", b"<html>", pickle.dumps(Malicious(), protocol=2)):
        (folder / "pytorch_model.bin").write_bytes(data)
        assert str(folder) in refusal(folder)
    assert "it ran" not in capfd.readouterr().out


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"<html>"])
def test_a_damaged_file_is_refused(folder, damage):
    file = folder / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    assert str(folder) in refusal(folder)


@pytest.mark.parametrize("change", [
    "{", "[]", "{}", {"vision_config": 5}, {"vision_config": {"hidden_size": "many"}},
    {"vision_config": {"num_attention_heads": 5}}, {"vision_config": {"num_attention_heads": 0}},
    {"vision_config": {"hidden_act": "none such"}}, {"vision_config": {"num_hidden_layers": 3}},
    {"projection_dim": 9},
])  # fmt: skip
def test_a_config_of_something_else_is_refused(folder, change):
    file = folder / "config.json"
    if isinstance(change, dict):
        config = json.loads(file.read_text())
        for key, value in change.items():
            config[key] = config[key] | value if isinstance(value, dict) else value
        change = json.dumps(config)
    file.write_text(change)
    assert str(folder) in refusal(folder)


@pytest.mark.parametrize("change", ["{", "[]", {"crop_size": 48}, {"size": "x"}, {"do_center_crop": False}])
def test_a_preprocessor_that_does_not_fit_is_refused(folder, change):
    text = json.dumps(tiny_checker.PREPROCESSOR | change) if isinstance(change, dict) else change
    (folder.parent / "feature_extractor" / "preprocessor_config.json").write_text(text)
    assert "feature_extractor" in refusal(folder)


def test_weights_that_can_hit_nothing_are_refused(folder):
    """A complete file may still be worthless: untrained, emptied, or not numbers."""
    whole = state(folder)
    for key, value, told in [
        ("concept_embeds_weights", torch.ones(17), "never be hit"),
        ("special_care_embeds_weights", torch.full((3,), 1.5), "never be hit"),
        ("concept_embeds", torch.zeros(17, 8), "never be hit"),
        ("concept_embeds_weights", torch.full((17,), math.nan), "not finite"),
        ("visual_projection.weight", torch.full((8, 16), math.inf), "not finite"),
    ]:
        broken = whole | {key: value}
        if told == "never be hit":
            broken["concept_embeds_weights"] = broken["concept_embeds_weights"].abs()
        tiny_checker.save(folder, broken)
        assert told in refusal(folder) and key.removesuffix("_weights") in refusal(folder)


def test_an_untrained_checker_of_the_true_class_is_refused(folder):
    config = tiny_checker.tiny_model().config
    with torch.random.fork_rng(devices=[]):
        untrained = StableDiffusionSafetyChecker(config)
    tiny_checker.save(folder, untrained.state_dict())
    assert "never be hit" in refusal(folder)


# ---- which engine has which ------------------------------------------------------------------------------------------


def test_a_folder_is_read_once_for_all_who_share_it(folder, tmp_path_factory, monkeypatch):
    other = tiny_checker.write(tmp_path_factory.mktemp("other"))
    folders = {"a": folder, "b": folder, "c": other, "built-in": None}
    reads, adjustments = [], []
    read = StableDiffusionChecker.from_folder.__func__

    def watched(cls, folder, **options):
        reads.append(folder)
        adjustments.append(options["adjustment"])
        return read(cls, folder, **options)

    monkeypatch.setattr(StableDiffusionChecker, "from_folder", classmethod(watched))
    checkers = StableDiffusionCheckers(lambda card: folders[card.name], adjustment=0.125, device="cpu")
    assert reads == []
    cards = {name: replace(tiny.CARD, name=name) for name in folders}
    found = []
    threads = [threading.Thread(target=lambda: found.append(checkers(cards["a"]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(found) == 4 and len({id(checker) for checker in found}) == 1
    assert checkers(cards["b"]) is found[0] and checkers(cards["c"]) is not found[0]
    assert checkers(cards["built-in"]) is None
    assert (reads, adjustments) == ([folder, other], [0.125, 0.125])


def test_an_incomplete_checker_is_an_error_each_time_and_not_remembered(folder):
    checkers = StableDiffusionCheckers(lambda card: folder, device="cpu")
    whole = state(folder)
    (folder / "model.safetensors").unlink()
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"lacks model\.safetensors.*To bring it back: python -m there is none"):
            checkers(tiny.CARD)
    tiny_checker.save(folder, whole)
    assert len(checkers(tiny.CARD).check(PICTURES[:1])) == 1


def downloaded(folder: Path, *roles: str) -> ModelCard:
    """A card whose one source is a safety checker, with what the lock says was downloaded."""
    source = Source(name="checker", title="", role="safety", repo="owner/base", licence="", commercial=True, files=())
    pins = tuple(Pin(role=role, repo="owner/base", commit="c0ffee", files=()) for role in roles)
    return replace(tiny.CARD, folder=folder, sources=(source,), install=Install(version="0", pins=pins))


def test_an_engine_of_the_registry_finds_its_checker_in_the_store(tmp_path):
    card = downloaded(tmp_path, "safety")
    root = Store(tmp_path).folder("owner/base", "c0ffee")
    assert registered_folder(card) == root / "safety_checker"
    tiny_checker.write(root)
    assert len(StableDiffusionCheckers(device="cpu")(card).check(PICTURES[:2])) == 2
    with pytest.raises(WeightsError, match="lacks its safety checker"):
        StableDiffusionCheckers(device="cpu")(downloaded(tmp_path))


def test_every_published_engine_has_a_checker_and_the_built_in_one_has_none(tmp_path):
    cards = read_cards(models_dir=tmp_path)
    published = {name for name, card in cards.items() if card.kind != "saved"}
    assert published and published < set(cards)
    checkers = StableDiffusionCheckers(device="cpu")
    for name, card in cards.items():
        if name in published:
            with pytest.raises(WeightsError):  # nothing is downloaded yet
                checkers(card)
        else:
            assert checkers(card) is None


def test_the_setting_reaches_the_checker(monkeypatch):
    made = []
    monkeypatch.setattr("catvton.startup.StableDiffusionCheckers", lambda **options: made.append(options))
    TryOn.from_settings(Settings(safety_adjustment=0.25, device="cpu"))
    assert made == [{"adjustment": 0.25, "device": "cpu"}]
