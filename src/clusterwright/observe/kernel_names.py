"""What a kernel or operator does, by its name."""

from __future__ import annotations

import re

COLLECTIVES = (
    ("all-to-all", r"all_?to_?all|deep_?ep|dispatch_kernel|combine_kernel"),
    ("all-gather", r"all_?gather"),
    ("reduce-scatter", r"reduce_?scatter"),
    ("send-recv", r"send_?recv|sendrecv|nccl:(?:send|recv)|ncclSend|ncclRecv|isend|irecv"),
    ("broadcast", r"broadcast"),
    ("all-reduce", r"all_?reduce|cross_device_reduce|one_shot|two_shot"),
    ("reduce", r"reduce_"),
)
_COMMUNICATION = re.compile(
    r"^(?:nccl|rccl|mscclKernel|nvshmem|gloo|c10d::|ProcessGroup)|nccl(?:Dev)?Kernel|_c10d_"
    r"|cross_device_reduce|deep_?ep|all_reduce_kernel",
    re.IGNORECASE,
)
_KINDS = (
    ("attention", r"flash|fmha|scaled_dot_product|attention|attn|_sdpa|softmax.*(?:scaled|masked)"),
    ("optimizer", r"multi_tensor_apply|adam|fused_sgd|FusedOptimizer|Optimizer\.step|lamb"),
    (
        "matmul",
        (
            r"gemm|cutlass|cublas|nvjet|xmma|wgmma|Cijk_|matmul|::addmm|::mm\b|::bmm|::linear|"
            r"::baddbmm|::_scaled_mm|mma_|conv|triton.*(?:_mm|dot)"
        ),
    ),
    ("copy", r"Memcpy|Memset|memcpy|memset"),
)
_COMPILED = [(kind, re.compile(text)) for kind, text in _KINDS]
_WHICH = [(name, re.compile(text, re.IGNORECASE)) for name, text in COLLECTIVES]

INPUT = re.compile(
    r"DataLoader|dataloader|next\(.*data|batch.generator|data_loading", re.IGNORECASE
)
"""A host event that fetches data."""


def kind_of(name: str) -> str:
    """``matmul``, ``attention``, ``optimizer``, ``copy``, ``elementwise``, or a collective.

    >>> kind_of("ncclDevKernel_ReduceScatter_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)")
    'reduce-scatter'
    >>> kind_of("nvjet_hsh_128x256_64x4_2x1_v_bz_coopA_NNT"), kind_of("flash_fwd_kernel<...>")
    ('matmul', 'attention')
    """
    if _COMMUNICATION.search(name):
        return next((one for one, text in _WHICH if text.search(name)), "other traffic")
    return next((kind for kind, text in _COMPILED if text.search(name)), "elementwise")


def is_traffic(kind: str) -> bool:
    """Whether a kind is communication."""
    return kind == "other traffic" or any(kind == name for name, _ in COLLECTIVES)
