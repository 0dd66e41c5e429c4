"""A classifier of the hub as a checker: its labels decide, and what it cannot judge is never passed."""

import json
import math
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTForImageClassification
from transformers.utils import logging as transformers_logging

from catvton.errors import SettingsError, WeightsError
from catvton.safety.classifier import ImageClassifier
from catvton.safety.moderation import Moderation
from catvton.settings import Settings
from tests.tiny_checker import pictures

PICTURES = pictures(12)
LABELS = ("normal", "NSFW", "drawing")
PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "size": {"height": 16, "width": 16},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def write(folder: Path, **config) -> Path:
    """A classifier of a few thousand seeded weights, in the files of the hub."""
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {name: index for index, name in enumerate(LABELS)}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ViTForImageClassification(ViTConfig(image_size=16, patch_size=4, **sizes, **names, **config))
        for parameter in model.parameters():
            parameter.data = torch.randn(parameter.shape) / math.sqrt(math.prod(parameter.shape[1:]) or 1)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "classifier")


def read(folder, unsafe=("NSFW",), threshold=0.5) -> ImageClassifier:
    return ImageClassifier.from_source(folder, unsafe=unsafe, threshold=threshold)


def chances(folder: Path, activation=lambda logits: logits.softmax(-1)) -> np.ndarray:
    """(pictures, labels) by the network alone, the pictures prepared by hand."""
    model = ViTForImageClassification.from_pretrained(folder).eval()
    rows = [np.asarray(picture.resize((16, 16), 2), np.float32) / 127.5 - 1 for picture in PICTURES]
    with torch.no_grad():
        return activation(model(torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2)).logits).numpy()


# ---- what it thinks --------------------------------------------------------------------------------------------------


def test_the_chance_of_the_named_label_decides(folder):
    expected = chances(folder)[:, 1]
    threshold = float(np.median(expected))
    verdicts = read(folder, threshold=threshold).check(PICTURES)
    assert [verdict.flagged for verdict in verdicts] == list(expected > threshold)
    assert 0 < sum(verdict.flagged for verdict in verdicts) < len(PICTURES)
    told = [verdict.scores["NSFW"] for verdict in verdicts]
    assert np.abs(told - (expected - threshold)).max() < 2e-3
    assert {verdict.hits for verdict in verdicts} == {(), ("NSFW",)}


def test_chances_of_labels_that_exclude_each_other_add_up(folder):
    expected = chances(folder)
    both = expected[:, 1] + expected[:, 2]
    threshold = float(np.median(both))
    verdicts = read(folder, unsafe=("drawing", "nsfw"), threshold=threshold).check(PICTURES)
    assert [verdict.flagged for verdict in verdicts] == list(both > threshold)
    assert any(verdict.flagged and max(verdict.scores.values()) < 0 for verdict in verdicts)


def test_labels_that_do_not_exclude_each_other_are_asked_one_by_one(tmp_path):
    folder = write(tmp_path / "several", problem_type="multi_label_classification")
    expected = chances(folder, torch.sigmoid)
    highest = expected[:, 1:].max(1)
    threshold = float(np.median(highest))
    verdicts = read(folder, unsafe=("NSFW", "drawing"), threshold=threshold).check(PICTURES)
    assert [verdict.flagged for verdict in verdicts] == list(highest > threshold)


def test_a_verdict_does_not_depend_on_the_other_pictures(folder):
    checker = read(folder)
    assert [checker.check([picture])[0] for picture in PICTURES] == checker.check(PICTURES)


# ---- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unsafe", "told"), [
    (("nude",), "the classifier has no label nude; it has normal, NSFW, drawing."),
    (("NSFW", "nude", "gore"), "no label nude, gore;"),
    ((), "no label to look for;"),
])  # fmt: skip
def test_a_label_it_does_not_have_is_named(folder, unsafe, told):
    with pytest.raises(SettingsError) as caught:
        read(folder, unsafe)
    assert str(caught.value).startswith("CATVTON_MODERATION_LABELS: ") and told in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(WeightsError) as caught:
        read(folder)
    assert name in str(caught.value) and str(folder) in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WeightsError, match="nowhere"):
        read(tmp_path / "nowhere")


def test_a_repository_out_of_reach_is_named():
    with pytest.raises(WeightsError, match="nobody/nothing"):
        read("nobody/nothing")


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"<html>"])
def test_a_damaged_file_is_refused(folder, damage):
    file = folder / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(WeightsError, match="classifier"):
        read(folder)


def test_every_tensor_must_come_from_the_file_and_be_a_number(folder):
    file = folder / "model.safetensors"
    whole = load_file(file)
    for change, told in (
        ({"classifier.weight": None}, "classifier.weight"),
        ({"classifier.weight": torch.zeros(3, 5)}, "classifier.weight"),
        ({"one.too.many": torch.zeros(1)}, "one.too.many"),
        ({"classifier.bias": torch.full((3,), math.nan)}, "classifier.bias has numbers that are not finite"),
    ):
        kept = {name: tensor for name, tensor in (whole | change).items() if tensor is not None}
        save_file(kept, file, metadata={"format": "pt"})
        with pytest.raises(WeightsError, match=told):
            read(folder)


def test_a_pickle_may_hold_nothing_but_tensors(folder, capfd):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious(), protocol=2))
    with pytest.raises(WeightsError):
        read(folder)
    assert "it ran" not in capfd.readouterr().out


class Malicious:
    def __reduce__(self):
        return print, ("it ran",)


@pytest.mark.parametrize("text", ["{", "[]", '{"model_type": "vit", "hidden_size": "many"}', '{"model_type": "none"}'])
def test_a_config_of_something_else_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    with pytest.raises(WeightsError, match="classifier"):
        read(folder)


def test_a_network_that_gives_no_number_passes_nothing(folder):
    checker = read(folder)
    checker._model.classifier.bias.data.fill_(math.inf)
    with pytest.raises(WeightsError, match="cannot judge"):
        checker.check(PICTURES[:1])


def test_loading_says_nothing_on_the_terminal_and_leaves_transformers_as_it_was(folder, capfd):
    level = transformers_logging.get_verbosity()
    read(folder)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert transformers_logging.get_verbosity() == level and "torchvision" not in sys.modules


# ---- by setting ------------------------------------------------------------------------------------------------------


def test_the_settings_choose_it_its_labels_and_its_threshold(folder):
    expected = chances(folder)[:, 1:].sum(1)
    threshold = float(np.median(expected))
    chosen = Settings(moderation="on", moderation_model=str(folder), moderation_labels=" nsfw, drawing,",
                      moderation_threshold=threshold, device="cpu")  # fmt: skip
    checker = Moderation.from_settings(chosen, service=False).classifier()
    assert [verdict.flagged for verdict in checker.check(PICTURES)] == list(expected > threshold)


def test_without_a_model_there_is_none():
    assert Moderation.from_settings(Settings(moderation="on"), service=False).classifier() is None
