"""Detectron2's config files: what they say is read, what they should not say is refused by name."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest
import yaml

from densepose.config import Config
from densepose.config_files import SHIPPED, read_config
from densepose.config_nodes import HrStage
from densepose.errors import ConfigError
from densepose.support import check
from tests import densepose_tiny as tiny

# The layout of the published CSE configs, the training keys included.
CSE = """
MODEL:
  ROI_DENSEPOSE_HEAD:
    PREDICTOR_NAME: "DensePoseEmbeddingPredictor"
    LOSS_NAME: "DensePoseCseLoss"
    CSE:
      EMBED_SIZE: 16
      EMBED_LOSS_NAME: "EmbeddingLoss"
      EMBEDDERS:
        "smpl_27554":
          TYPE: vertex_feature
          NUM_VERTICES: 27554
          FEATURE_DIM: 256
          FEATURES_TRAINABLE: False
          IS_TRAINABLE: True
          INIT_FILE: "https://example.org/phi_smpl_27554_256.pkl"
DATASETS:
  TRAIN: ("densepose_coco_2014_train_cse",)
  CLASS_TO_MESH_NAME_MAPPING: {"0": "smpl_27554"}
SOLVER:
  CLIP_GRADIENTS: {CLIP_TYPE: norm, ENABLED: true}
DENSEPOSE_EVALUATION: {TYPE: cse}
"""


@pytest.fixture
def write(tmp_path):
    """Writes a file and returns its path; dicts become YAML."""

    def write(content, name="config.yaml"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    return write


def test_the_published_files():
    r50, r101, deeplab, hrnet = (
        read_config(SHIPPED / name)
        for name in (
            "densepose_rcnn_R_50_FPN_s1x.yaml", "densepose_rcnn_R_101_FPN_s1x.yaml",
            "densepose_rcnn_R_50_FPN_DL_s1x.yaml", "HRNet/densepose_rcnn_HRFPN_HRNet_w32_s1x.yaml",
        )
    )  # fmt: skip
    for config in (r50, r101, deeplab, hrnet):
        check(config)
        assert not config.has_embeddings
        assert config.model.roi_heads.num_classes == 1
        assert config.model.roi_box_head.pooler_type == "ROIAlign"
        assert config.model.rpn.pre_nms_topk_test == 1000
        assert config.model.anchor_generator.sizes == ((32,), (64,), (128,), (256,), (512,))
        assert (config.input.min_size_test, config.input.max_size_test) == (800, 1333)
    assert (r50.model.resnets.depth, r101.model.resnets.depth) == (50, 101)
    assert r50.model.roi_densepose_head.name == "DensePoseV1ConvXHead"
    assert deeplab.model.roi_densepose_head.name == "DensePoseDeepLabHead"
    assert hrnet.model.roi_heads.in_features == ("p1", "p2", "p3", "p4", "p5")
    assert hrnet.model.hrnet.stage4.num_channels == (32, 64, 128, 256)


def test_the_notice_of_the_published_files_ships_with_them():
    notice = (SHIPPED / "NOTICE").read_text()
    assert "Apache License, Version 2.0" in notice
    assert "Facebook" in notice


def test_every_node_is_frozen():
    def nodes(node):
        yield node
        for entry in fields(node):
            if is_dataclass(value := getattr(node, entry.name)):
                yield from nodes(value)

    found = list(nodes(Config()))
    assert len(found) > 15
    for node in found:
        with pytest.raises(FrozenInstanceError):
            node.anything = 1


def test_a_file_lies_over_the_one_it_is_based_on(write):
    write({"MODEL": {"RESNETS": {"DEPTH": 101, "WIDTH_PER_GROUP": 32}}, "VERSION": 2}, "base.yaml")
    write({"_BASE_": "base.yaml", "MODEL": {"RESNETS": {"DEPTH": 50}}}, "middle.yaml")
    config = read_config(write({"_BASE_": "middle.yaml", "INPUT": {"MIN_SIZE_TEST": 640}}))
    assert (config.model.resnets.depth, config.model.resnets.width_per_group) == (50, 32)
    assert config.input.min_size_test == 640


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("config.yaml", "based on itself"),
        ("nowhere.yaml", "nowhere.yaml cannot be read"),
        ("/etc/passwd", "must be a path from that file"),
        ("https://example.org/base.yaml", "must be a path from that file"),
        (["a.yaml"], "must be a path from that file"),
    ],
)
def test_a_base_that_cannot_be(write, base, message):
    with pytest.raises(ConfigError, match=message):
        read_config(write({"_BASE_": base}))


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"MODLE": {}}, "config.yaml: MODLE"),
        ({"MODEL": {"RESNET": {}}}, "config.yaml: MODEL.RESNET"),
        ({"MODEL": {"ROI_HEADS": {"NUM_CLASES": 1}}}, "config.yaml: MODEL.ROI_HEADS.NUM_CLASES"),
        ({"SOLVER": {"BASE_RL": 1}}, "config.yaml: SOLVER.BASE_RL"),
        ({"MODEL": {"ROI_DENSEPOSE_HEAD": {"CSE": {"EMBEDDERS": {"cube": {"KIND": "x"}}}}}}, "EMBEDDERS.cube.KIND"),
        ({"model": {}}, "config.yaml: model"),
    ],
)
def test_an_unknown_key_is_refused_with_its_place(write, tree, place):
    with pytest.raises(ConfigError, match=f"{place} is not a key this version knows"):
        read_config(write(tree))


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"MODEL": {"RESNETS": {"DEPTH": "fifty"}}}, "DEPTH must be int, not 'fifty'"),
        ({"MODEL": {"RPN": {"NMS_THRESH": True}}}, "NMS_THRESH must be float, not True"),
        ({"MODEL": {"MASK_ON": 1}}, "MASK_ON must be bool, not 1"),
        ({"MODEL": {"PIXEL_MEAN": ["a", "b", "c"]}}, "PIXEL_MEAN must be a list of numbers"),
        ({"MODEL": {"RPN": {"IN_FEATURES": [2, 3]}}}, "IN_FEATURES must be a list of names"),
        ({"MODEL": {"RPN": {"IN_FEATURES": "p2"}}}, "IN_FEATURES must be a list"),
        ({"MODEL": {"RPN": 3}}, "RPN must be a section"),
        ({"MODEL": {"ROI_DENSEPOSE_HEAD": {"CSE": {"EMBEDDERS": {"cube": 3}}}}}, "cube must be a section"),
    ],
)
def test_a_value_of_the_wrong_kind(write, tree, message):
    with pytest.raises(ConfigError, match=message):
        read_config(write(tree))


@pytest.mark.parametrize("text", ["a: [", "just words", "", "\0", "x: !!python/object/apply:os.getcwd []"])
def test_what_is_no_config_file(write, text):
    with pytest.raises(ConfigError, match=r"config\.yaml is no"):
        read_config(write(text))


def test_a_tuple_in_python_s_writing(write):
    config = read_config(write("MODEL:\n  RPN:\n    BBOX_REG_WEIGHTS: (1, 2, 3.5, 4)\n"))
    assert config.model.rpn.bbox_reg_weights == (1, 2, 3.5, 4)


def test_a_section_that_is_set_in_part_keeps_its_other_defaults(write):
    config = read_config(write({"MODEL": {"HRNET": {"STAGE3": {"NUM_MODULES": 2}}}}))
    assert config.model.hrnet.stage3 == HrStage(2, 3, "BASIC", (4, 4, 4), (32, 64, 128))


def test_a_cse_config(write):
    config = read_config(write(CSE))
    cse = config.model.roi_densepose_head.cse
    assert config.has_embeddings
    assert cse.embed_size == 16
    (embedder,) = cse.embedders
    assert (embedder.mesh, embedder.type) == ("smpl_27554", "vertex_feature")
    assert (embedder.num_vertices, embedder.feature_dim) == (27554, 256)


def test_everything_that_cannot_be_done_is_named_at_once():
    tree = tiny.changed(
        tiny.RESNET,
        {"MODEL": {
            "MASK_ON": True, "FPN": {"NORM": "GN"}, "RPN": {"IN_FEATURES": ["p2", "p9"]},
            "ROI_DENSEPOSE_HEAD": {"UV_CONFIDENCE": {"ENABLED": True}, "DEEPLAB": {"NONLOCAL_ON": 1}},
        }},
    )  # fmt: skip
    with pytest.raises(ConfigError) as error:
        tiny.network(tree)
    for part in ("MASK_ON", "FPN.NORM is 'GN', must be ''", "p9", "UV_CONFIDENCE.ENABLED", "NONLOCAL_ON", "SIZES"):
        assert part in str(error.value)
    assert "DEPTH" not in str(error.value)
