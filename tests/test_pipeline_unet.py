"""The try-on UNet: what a skipped cross-attention still does, what is saved, and what attention may not hold."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from catvton.attention import BoundedAttention
from catvton.unet import SkippedAttention, TryOnUNet
from tests.tiny_pipeline import seeded, tiny_unet


@pytest.fixture(scope="module")
def sample():
    return torch.randn(2, 9, 16, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def stock():
    """The parent class with the same configuration and weights of its own, cross-attention included."""
    return seeded(lambda: UNet2DConditionModel.from_config(tiny_unet().config), seed=1)


@pytest.fixture(scope="module")
def stock_folder(stock, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    stock.save_pretrained(folder)
    return folder


def run(unet, sample):
    with torch.no_grad():
        return unet(sample, torch.tensor(500), encoder_hidden_states=None, return_dict=False)[0]


def cross_attention_skipped(model, sample, *, keep_norm: bool):
    """The stock network with its cross-attentions put aside by hooks: their input passed on, or nothing."""
    hooks = [
        module.register_forward_hook(lambda _, args, output: args[0] if keep_norm else torch.zeros_like(args[0]))
        for name, module in model.named_modules()
        if name.endswith("attn2")
    ]
    context = torch.zeros(len(sample), 1, model.config.cross_attention_dim)
    try:
        with torch.no_grad():
            return model(sample, torch.tensor(500), encoder_hidden_states=context, return_dict=False)[0]
    finally:
        for hook in hooks:
            hook.remove()


def test_a_skipped_cross_attention_still_adds_its_norm(stock, stock_folder, sample):
    unet = TryOnUNet.from_pretrained(stock_folder)
    torch.testing.assert_close(run(unet, sample), cross_attention_skipped(stock, sample, keep_norm=True))
    assert (run(unet, sample) - cross_attention_skipped(stock, sample, keep_norm=False)).abs().max() > 0.01


def test_an_ordinary_unet_loads_with_nothing_missing(stock, stock_folder):
    unet, info = TryOnUNet.from_pretrained(stock_folder, output_loading_info=True)
    assert not any(info.values())
    own, theirs = unet.state_dict(), stock.state_dict()
    assert set(own) == {key for key in theirs if ".attn2." not in key}
    assert all(torch.equal(own[key], theirs[key]) for key in own)


def test_it_saves_without_dead_weights_and_loads_again(tmp_path, sample):
    unet = tiny_unet()
    unet.save_pretrained(tmp_path)
    keys = set(load_file(tmp_path / "diffusion_pytorch_model.safetensors"))
    assert not {key for key in keys if "attn2" in key}
    assert {key for key in keys if "norm2" in key and "transformer_blocks" in key}
    again = TryOnUNet.from_pretrained(tmp_path)
    assert type(again) is TryOnUNet
    assert torch.equal(run(again, sample), run(unet, sample))


def test_only_self_attentions_are_left():
    unet = tiny_unet()
    assert sum(isinstance(module, SkippedAttention) for module in unet.modules()) == 4
    assert len(unet.attn_processors) == 4
    assert all("attn1" in name for name in unet.attn_processors)


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements any single tensor made inside it had."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


def largest_tensor(unet, tokens: int) -> int:
    layer = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
    with torch.no_grad(), LargestTensor() as seen:
        layer(torch.zeros(1, tokens, layer.query_dim))
    return seen.elements


def test_attention_never_holds_a_tokens_by_tokens_matrix():
    unet = tiny_unet()
    assert largest_tensor(unet, 2048) < 2048 * 64
    unet.set_attn_processor(AttnProcessor())
    assert largest_tensor(unet, 2048) >= 2048 * 2048  # what the test would see


def test_where_nothing_is_fused_queries_go_in_slices(sample):
    unet = tiny_unet()
    expected = run(unet, sample)
    unet.set_attn_processor(BoundedAttention(always_slice=True, max_scores=500))
    torch.testing.assert_close(run(unet, sample), expected, atol=1e-5, rtol=1e-5)


def test_a_slice_keeps_to_its_limit(monkeypatch):
    rows = []
    plain = nn.functional.scaled_dot_product_attention

    def watch(query, key, value):
        rows.append(query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2])
        return plain(query, key, value)

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", watch)
    layer = tiny_unet().down_blocks[0].attentions[0].transformer_blocks[0].attn1
    with torch.no_grad():
        BoundedAttention(always_slice=True, max_scores=4096)(layer, torch.zeros(1, 100, layer.query_dim))
    assert max(rows) <= 4096
    assert sum(rows) == layer.heads * 100 * 100


def test_attention_to_something_else_is_refused():
    layer = tiny_unet().down_blocks[0].attentions[0].transformer_blocks[0].attn1
    tokens = torch.zeros(1, 4, layer.query_dim)
    with pytest.raises(ValueError, match="self-attention"):
        layer(tokens, encoder_hidden_states=tokens)
