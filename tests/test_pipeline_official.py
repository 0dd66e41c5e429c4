"""Reading the published files: what fits is loaded to the last number, everything else is refused in words."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler
from safetensors.torch import load_file, save_file

from catvton.errors import WeightsError
from catvton.official import load_attention, load_official, read_attention, self_attentions
from catvton.unet import TryOnUNet
from tests.conformance.conftest import DATA, attention_state, official, read_json

__all__ = ["official"]  # the fixture: tiny networks in official folders


@pytest.fixture
def folders(official, tmp_path):
    """A copy of the official folders that a test may damage."""
    root = tmp_path / "copy"
    shutil.copytree(official.base.parent, root)
    return type(official)(base=root / "base", vae=root / "vae", attention=root / "attn")


@pytest.fixture
def unet(official):
    return TryOnUNet.from_pretrained(official.base / "unet")


@pytest.fixture(scope="module")
def state():
    return attention_state()


def load(folders, **options):
    return load_official(folders.base, folders.attention, vae=folders.vae, **options)


def test_every_tensor_lands_in_its_place(unet, state):
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    count = load_attention(unet, state)
    assert count == 127_520
    after = unet.state_dict()
    rows = read_json("attention_keys.json")["tiny"]
    assert len(rows) == 50
    for key, row in rows.items():
        assert torch.equal(after[row["unet_key"]], state[key]), key
        assert not torch.equal(before[row["unet_key"]], state[key]), key
    touched = {row["unet_key"] for row in rows.values()}
    assert all(torch.equal(after[key], before[key]) for key in after if key not in touched)


def test_the_parts_are_ready_to_use(official):
    parts = load(official, dtype=torch.bfloat16)
    assert [type(parts[name]) for name in ("vae", "unet", "scheduler")] == [AutoencoderKL, TryOnUNet, DDIMScheduler]
    assert {parts["unet"].dtype, parts["vae"].dtype} == {torch.bfloat16}
    assert not parts["unet"].training
    assert not parts["vae"].training
    assert parts["scheduler"].config.timestep_spacing == "leading"


def test_the_attention_file_itself_may_be_named(official):
    found = load_official(official.base, official.attention_file, vae=official.vae)["unet"].state_dict()
    expected = load(official)["unet"].state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_each_version_has_its_folder(folders):
    with pytest.raises(WeightsError, match="vitonhd-16k-512/attention/model"):
        load(folders, version="vitonhd")
    (folders.attention / "mix-48k-1024").rename(folders.attention / "dresscode-16k-512")
    load(folders, version="dresscode")
    with pytest.raises(ValueError, match="mix, vitonhd, dresscode, not 'best'"):
        load(folders, version="best")


def without(prefix):
    return lambda state: {key: value for key, value in state.items() if not key.startswith(prefix)}


def renamed(rename):
    return lambda state: {rename(key): value for key, value in state.items()}


def changed(key, value):
    return lambda state: {**state, key: value}


def restride(key):
    index, rest = key.split(".", 1)
    return f"{int(index) // 8 * 7}.{rest}"


REFUSED = {
    "a group is missing": (without("40."), r"has 9 groups .* 0, 8, 16, 24, \.\.\., 72; .* 10 self-attentions"),
    "the last group is missing": (without("72."), r"has 9 groups .*, \.\.\., 64; "),
    "a group too many": (changed("80.to_q.weight", torch.zeros(64, 64)), r"has 11 groups .*, \.\.\., 80; "),
    "numbered by sevens": (renamed(restride), r"numbered 0, 7, 14, 21, \.\.\., 63; .* so 0, 8, 16, 24, \.\.\., 72"),
    "numbered one by one": (renamed(lambda key: f"{int(key.split('.')[0]) // 8}.{key.split('.', 1)[1]}"), "0, 1, 2, 3"),
    "another shape": (changed("16.to_k.weight", torch.zeros(64, 32)), r"16\.to_k\.weight is \[64, 32\], .*attn1 needs"),
    "a tensor is missing": (without("24.to_v"), "group 24 has to_k.weight, to_out.0.bias, to_out.0.weight, to_q.w"),
    "a tensor too many": (changed("24.to_q.bias", torch.zeros(64)), r"group 24 has .*to_q\.bias"),
    "a name of another kind": (changed("unet.conv_in.weight", torch.zeros(1)), "tensor 'unet.conv_in.weight'"),
    "empty": (lambda state: {}, "has 0 groups of tensors, numbered none"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_an_attention_file_that_does_not_fit_is_refused_whole(unet, state, case):
    damage, message = REFUSED[case]
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    with pytest.raises(WeightsError, match=message):
        load_attention(unet, damage(dict(state)), source="attention.safetensors")
    after = unet.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in after)


def test_a_file_in_another_order_of_blocks_is_refused():
    """Down, middle, up, as the blocks run: the full-size network's widths give it away."""
    names = list(self_attentions(_meta_unet()))
    order = sorted(range(16), key=lambda position: ("down", "mid", "up").index(names[position].split("_")[0]))
    full = {key: row["shape"] for key, row in read_json("attention_keys.json")["sd15_inpainting"].items()}
    moved = {}
    for position, original in enumerate(order):
        moved |= {
            f"{8 * position}.{key.split('.', 1)[1]}": torch.empty(shape, device="meta")
            for key, shape in full.items()
            if key.startswith(f"{8 * original}.")
        }
    with pytest.raises(WeightsError, match=r"is \[1280, 1280\], up_blocks.*needs \[640, 640\]"):
        load_attention(_meta_unet(), moved)


def _meta_unet() -> TryOnUNet:
    """The published size without memory: Stable Diffusion 1.5's inpainting configuration."""
    with torch.device("meta"):
        return TryOnUNet(
            sample_size=64, in_channels=9, out_channels=4, block_out_channels=(320, 640, 1280, 1280),
            layers_per_block=2, attention_head_dim=8, cross_attention_dim=768,
        )  # fmt: skip


def test_the_full_size_network_has_the_published_tensors():
    unet = _meta_unet()
    expected = {key: shape for key, shape in read_json("sd15_keys.json")["unet"].items() if ".attn2." not in key}
    assert {key: list(value.shape) for key, value in unet.state_dict().items()} == expected
    assert len(read_json("sd15_keys.json")["unet"]) - len(expected) == 16 * 5


def test_the_full_size_attention_file_fits():
    rows = read_json("attention_keys.json")["sd15_inpainting"]
    unet = _meta_unet()
    assert len(rows) == 80
    state = {key: torch.empty(row["shape"], device="meta") for key, row in rows.items()}
    assert load_attention(unet, state) == 49_574_080
    names = list(self_attentions(unet))
    for key, row in rows.items():
        index, tensor = key.split(".", 1)
        assert row["unet_key"] == f"{names[int(index) // 8]}.{tensor}"


def test_the_full_size_autoencoder_has_the_published_tensors():
    with torch.device("meta"):
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, norm_num_groups=32,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
    expected = read_json("sd15_keys.json")["vae"]
    assert {key: list(value.shape) for key, value in vae.state_dict().items()} == expected


def test_an_old_autoencoder_with_other_attention_names_loads(folders):
    file = folders.vae / "diffusion_pytorch_model.safetensors"
    names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def old(key):
        for new, former in names.items():
            key = key.replace(f".{new}.", f".{former}.")
        return key

    expected = load_file(file)
    save_file({old(key): value for key, value in expected.items()}, file)
    assert any("proj_attn" in key for key in load_file(file))
    found = load(folders)["vae"].state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("part", ["unet", "vae"])
@pytest.mark.parametrize("fault", ["missing", "unexpected"])
def test_a_base_model_that_does_not_fit_is_refused(folders, part, fault):
    folder = folders.base / "unet" if part == "unet" else folders.vae
    file = folder / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    key = "conv_in.weight" if part == "unet" else "encoder.conv_in.weight"
    if fault == "missing":
        del state[key]
    else:
        key = "extra.weight"
        state[key] = torch.zeros(1)
    save_file(state, file)
    with pytest.raises(WeightsError, match=f"{fault} keys .*{key}"):
        load(folders)


def test_a_base_model_of_another_shape_is_refused(folders):
    config = folders.base / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "in_channels": 4}))
    with pytest.raises(WeightsError, match="conv_in"):
        load(folders)


@pytest.mark.parametrize("part", ["base", "attention", "vae"])
def test_a_folder_that_is_not_there_is_named(official, tmp_path, part):
    paths = {"base": official.base, "attention": official.attention, "vae": official.vae, part: tmp_path / "nowhere"}
    with pytest.raises(WeightsError, match="nowhere"):
        load_official(paths["base"], paths["attention"], vae=paths["vae"])


def test_without_a_network_the_hub_id_is_named(official):
    with pytest.raises(WeightsError, match="of owner/no-such-model cannot be had"):
        load_official(official.base, "owner/no-such-model", vae=official.vae, local_files_only=True)
    with pytest.raises(WeightsError, match="AutoencoderKL cannot be loaded from owner/no-such-vae"):
        load_official(official.base, official.attention, vae="owner/no-such-vae", local_files_only=True)


def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(WeightsError, match=r"model\.safetensors cannot be read"):
        read_attention(path)


def test_the_data_of_these_tests_is_here():
    assert {"pipeline_config.json", "attention_keys.json", "sd15_keys.json"} <= {path.name for path in DATA.iterdir()}
