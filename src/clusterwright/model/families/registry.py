"""Which function reads which ``model_type``."""

from __future__ import annotations

from clusterwright.model.families import (
    dialects,
    encoder_decoder,
    gemma,
    gpt_like,
    hybrid,
    indexed,
    latent,
    newest,
    odd,
    plain,
    remote,
    sparse,
    state_space,
    t5_like,
)
from clusterwright.model.families.common import Reader

READERS: dict[str, Reader] = {
    **dialects.READERS,
    **encoder_decoder.READERS,
    **gemma.READERS,
    **gpt_like.READERS,
    **hybrid.READERS,
    **indexed.READERS,
    **latent.READERS,
    **newest.READERS,
    **odd.READERS,
    **plain.READERS,
    **remote.READERS,
    **sparse.READERS,
    **state_space.READERS,
    **t5_like.READERS,
}
"""The reader of each ``model_type``."""
