"""What of a model decides how much memory it takes: widths and bytes by layer, without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One transformer block, or several equal ones in a row.

    Attributes:
        count: how many there are of it, one after the other.
        weight_bytes: all its tensors; expert_bytes: of them those of its experts.
        matrix_bytes: by storage type, those of its matrices that are multiplied with and have whole groups of eight
            rows: what a CPU may copy into another order.
        n_heads, n_kv_heads: of attention; 0 key and value heads where it has none.
        key_width, value_width: of one head.
        n_ff: width of its dense feed-forward layer; 0 where there is none.
        windowed: attends to the sliding window only. recurrent: keeps a state instead of, or beside, keys and values.
    """

    count: int = 1
    weight_bytes: int
    expert_bytes: int = 0
    matrix_bytes: Mapping[str, int] = field(default_factory=dict)
    n_heads: int
    n_kv_heads: int
    key_width: int
    value_width: int
    n_ff: int
    windowed: bool = False
    recurrent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The memory side of a model.

    Attributes:
        context_length: tokens that it was trained for; 0 where the header does not say.
        window: tokens of the sliding window; 0 without one.
        blocks: all layers in order, equal neighbours together.
        embedding_bytes: of the token embedding and others that are only looked up: they stay on the host.
        output_bytes: of the output matrix; where it is tied, of the embedding that is copied for it.
        output_type: its storage type.
        other_bytes: tensors of no layer besides: they go with the output.
        tied: whether the embedding is the output matrix.
        header_bytes: of everything before the weights, the vocabulary above all.
        n_experts, n_experts_used, n_ff_expert: of mixtures of experts; 0 for dense models.
        latent: multi-head latent attention: one compressed row for keys and values, no cache of values.
        head_norms: queries and keys are normalised. post_norms: so are the results of attention and feed-forward.
        scaled_embedding: the embedding is scaled before the first layer, as Gemma does.
        matrix_types: storage types of the matrices, which decide what a CPU converts their inputs to.
        state_bytes: of a recurrent layer for one sequence, 0 without.
        graph_known: whether the compute graph is one that is predicted node by node; else it is an approximation.
    """

    architecture: str
    n_embd: int
    n_vocab: int
    context_length: int
    window: int = 0
    blocks: tuple[Block, ...]
    embedding_bytes: int
    output_bytes: int
    output_type: str = ""
    other_bytes: int = 0
    tied: bool = False
    header_bytes: int = 0
    n_experts: int = 0
    n_experts_used: int = 0
    n_ff_expert: int = 0
    latent: bool = False
    head_norms: bool = False
    post_norms: bool = False
    scaled_embedding: bool = False
    matrix_types: tuple[str, ...] = ()
    state_bytes: int = 0
    graph_known: bool = False

    @property
    def layers(self) -> tuple[Block, ...]:
        """Every layer by itself."""
        return tuple(block for block in self.blocks for _ in range(block.count))

    @property
    def n_layers(self) -> int:
        """Transformer blocks."""
        return sum(block.count for block in self.blocks)

    @property
    def has_states(self) -> bool:
        """Whether some layers keep a state in the place of keys and values, or beside them."""
        return any(block.recurrent for block in self.blocks)

    @property
    def cache_values(self) -> tuple[int, int]:
        """Keys and values that one token leaves in the caches of all layers that have one."""
        keys = sum(block.count * block.n_kv_heads * block.key_width for block in self.blocks)
        return keys, sum(block.count * block.n_kv_heads * block.value_width for block in self.blocks)

    @property
    def weight_bytes(self) -> int:
        """Of all tensors that are loaded."""
        layers = sum(block.count * block.weight_bytes for block in self.blocks)
        output = 0 if self.tied else self.output_bytes
        return layers + self.embedding_bytes + output + self.other_bytes
