"""How many parameters a model has, exactly, and where they are.

The counts are those of the weights that gradients train, tied ones once: what summing ``numel()``
over the distinct parameters of the reference implementation gives (held by
``tests/against/test_params_against_transformers.py``). Buffers, such as the balancing bias of
DeepSeek-V3's routers, are not among them.
"""

from __future__ import annotations

from clusterwright.model.records import Block, Experts, Mlp, Model
from clusterwright.records import Record


class ParameterCount(Record, frozen=True, kw_only=True):
    """Parameters of one model by part; all are counts.

    ``experts`` are all routed experts and ``idle_experts`` those of them that a given token does
    not visit; ``shared_experts`` are visited by every token. ``shared`` is what `layers sharing
    weights` count twice and is taken off the total. ``mtp`` (multi-token prediction) is beside
    the total: those layers are dropped after training.
    """

    embedding: int
    mixer: int
    mlp: int
    experts: int
    idle_experts: int
    shared_experts: int
    router: int
    vectors: int
    head: int
    shared: int = 0
    mtp: int = 0

    @property
    def total(self) -> int:
        """All trained parameters, tied and shared ones once, without multi-token prediction."""
        return (
            self.embedding
            + self.mixer
            + self.mlp
            + self.experts
            + self.shared_experts
            + self.router
            + self.vectors
            + self.head
            - self.shared
        )

    @property
    def active(self) -> int:
        """Parameters that one token meets: the total without the experts it does not visit."""
        return self.total - self.idle_experts


class BlockCount(Record, frozen=True, kw_only=True):
    """Parameters of one layer by part; all are counts (see `ParameterCount`)."""

    mixer: int
    mlp: int
    experts: int
    idle_experts: int
    shared_experts: int
    router: int
    vectors: int

    @property
    def total(self) -> int:
        """All parameters of the layer."""
        return (
            self.mixer + self.mlp + self.experts + self.shared_experts + self.router + self.vectors
        )

    @property
    def active(self) -> int:
        """Parameters of the layer that one token meets."""
        return self.total - self.idle_experts


def count_mlp(mlp: Mlp, hidden: int) -> int:
    """Return the weights of one feed-forward network, biases not counted.

    >>> count_mlp(Mlp(width=10, gated=True), 4)
    120
    """
    return (3 if mlp.gated else 2) * hidden * mlp.width


def count_expert(experts: Experts, hidden: int) -> int:
    """Return the parameters of one routed expert, its biases included."""
    inputs = experts.inputs or hidden
    return (3 if experts.gated else 2) * inputs * experts.width + experts.vector_parameters


def count_block(block: Block, hidden: int) -> BlockCount:
    """Return the parameters of one layer by part.

    Parameters
    ----------
    hidden
        Width of the residual stream, which feed-forward networks read and write.
    """
    routed = idle = shared = router = 0
    if block.experts is not None:
        one = count_expert(block.experts, hidden)
        routed = block.experts.num_experts * one
        idle = (block.experts.num_experts - block.experts.top_k) * one
        shared = (3 if block.experts.shared_gated else 2) * hidden * block.experts.shared_width
        router = hidden * block.experts.num_experts
    return BlockCount(
        mixer=sum(p.inputs * p.outputs for p in block.projections),
        mlp=count_mlp(block.mlp, hidden) if block.mlp is not None else 0,
        experts=routed,
        idle_experts=idle,
        shared_experts=shared,
        router=router,
        vectors=block.vector_parameters,
    )


def count_parameters(model: Model) -> ParameterCount:
    """Return the parameters of a model by part; plain integers, exact.

    A multi-token-prediction layer is a copy of the last block with a projection of
    ``2 · hidden → hidden`` and three norms; it shares embedding and head with the model.
    """
    hidden = model.hidden_size
    counts = [count_block(block, hidden) for block in model.blocks]
    times = list(zip(counts, model.count_of, strict=True))
    last = counts[model.layout[-1]]
    mtp = model.mtp_layers * (last.total + 2 * hidden * hidden + 3 * hidden)
    return ParameterCount(
        embedding=model.embedding_parameters,
        mixer=sum(c.mixer * n for c, n in times),
        mlp=sum(c.mlp * n for c, n in times),
        experts=sum(c.experts * n for c, n in times),
        idle_experts=sum(c.idle_experts * n for c, n in times),
        shared_experts=sum(c.shared_experts * n for c, n in times),
        router=sum(c.router * n for c, n in times),
        vectors=sum(c.vectors * n for c, n in times) + model.other_parameters,
        head=model.head_parameters,
        shared=model.shared_parameters,
        mtp=mtp,
    )
