"""Which function reads which ``model_type``."""

from __future__ import annotations

from clusterwright.model.families import (
    dialects,
    gpt_like,
    hybrid,
    indexed,
    latent,
    plain,
    sparse,
    state_space,
)
from clusterwright.model.families.common import Reader

READERS: dict[str, Reader] = {
    **dialects.READERS,
    **gpt_like.READERS,
    **hybrid.READERS,
    **indexed.READERS,
    **latent.READERS,
    **plain.READERS,
    **sparse.READERS,
    **state_space.READERS,
}
"""The reader of each ``model_type``."""
