"""Self-attention that never holds a tokens x tokens matrix.

At 768x1024 the top level of the try-on UNet has 24,576 tokens (person and garment together): a full attention matrix
of its eight heads would take 18 GiB in half precision for a guided step.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

# Score entries one call may hold where PyTorch has no fused kernel: 64 Mi entries are 128 MiB in half precision.
MAX_SCORES = 64 * 2**20


class BoundedAttention:
    """A diffusers attention processor for plain self-attention over (B, N, D) tokens.

    PyTorch's fused kernels (CPU, CUDA) take all queries at once and need O(N) memory. On other devices (MPS) the
    general kernel builds the score matrix, so the queries go through in slices of at most `max_scores` entries; each
    row of the softmax is complete in its slice, so the result is the same.
    """

    def __init__(self, *, max_scores: int = MAX_SCORES, always_slice: bool = False) -> None:
        self.max_scores = max_scores
        self.always_slice = always_slice

    def __call__(
        self,
        attn: torch.nn.Module,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if encoder_hidden_states is not None or attention_mask is not None or hidden_states.ndim != 3:
            raise ValueError("BoundedAttention does plain self-attention over (batch, tokens, channels) only.")
        query, key, value = (
            _split_heads(project(hidden_states), attn.heads) for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        fused = hidden_states.device.type in ("cpu", "cuda") and not self.always_slice
        rows = query.shape[2] if fused else self._rows_per_slice(query, key)
        parts = [F.scaled_dot_product_attention(part, key, value) for part in query.split(rows, dim=2)]
        merged = (parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](merged))

    def _rows_per_slice(self, query: torch.Tensor, key: torch.Tensor) -> int:
        batch, heads = query.shape[:2]
        return max(1, self.max_scores // (batch * heads * key.shape[2]))


def _split_heads(tokens: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, N, heads * d) -> (B, heads, N, d)."""
    return tokens.unflatten(2, (heads, -1)).transpose(1, 2)
