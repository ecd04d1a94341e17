"""How a model is served: by which engine, in which formats, how it is cut and how replicas run."""

from __future__ import annotations

from typing import Literal

from clusterwright.records import Record


class Format(Record, frozen=True, kw_only=True):
    """A format that weights are stored in.

    ``weight_bytes``: of one weight, scales included. [B] ``dense``, ``experts``: which precision of
    measured kernels multiplies by them. ``head``: format of embedding and last layer (none: this
    one). ``match``: fragments by which a published name is recognised, the longest first.
    """

    id: str
    name: str
    weight_bytes: float
    dense: str
    experts: str
    head: str = ""
    match: tuple[str, ...] = ()


class Correction(Record, frozen=True, kw_only=True):
    """What measured runs took over what kernels and links explain, on some chips or formats.

    ``profile``: generation of chips, ``accelerator``: one of them, ``weights``: format (none: any).
    ``decode``, ``prompt``: factors on the device's time of steps that decode, and of steps with
    prompts. [1] ``rows``: it rests on.
    """

    profile: str = ""
    accelerator: str = ""
    weights: str = ""
    decode: float = 1.0
    prompt: float = 1.0
    rows: int = 0


class InferenceEngine(Record, frozen=True, kw_only=True):
    """What an inference engine does by default, as far as it changes time and memory.

    ``match``: lower-case fragments by which a published engine is recognised (the longest wins);
    ``usual``, ``usual_small``: vendors of whose accelerators, and of whose chips in phones and
    laptops, it is the usual engine (``any``: where no other is);
    ``since``, ``until``: dates (ISO) of an era that has an entry of its own; ``vendors``,
    ``profiles``: of the accelerators it runs on (none: any).
    ``kernels``: whose measured kernels are nearest to its own, in that order; ``own_all_reduce``:
    whose all-reduce it uses (empty: the communication library's).
    ``mixed``: whether prompts and decoding share a step, else prompts go first and alone.
    ``chunked``: whether a prompt may be cut. ``budget``: tokens of a step at most. ``most``:
    sequences at once at most. ``block``: tokens of a block of the cache. ``memory_share``: of an
    accelerator's memory that it takes; ``reserve_bytes``: driver, runtime and communicators [B],
    ``free_share``: of what all that leaves. ``promise``:
    share of a request's output that must find room before it is let in.
    ``splits_cache``: whether ranks that would hold the same keys can cut a sequence between them.
    ``reuse``: whether the cache of a prompt's beginning serves others that begin alike.
    ``narrow_cache``: whether the cache is in 8 bits where the weights are in no more.
    ``narrow_heads``: formats of weights that the last layer shares, whatever is usual of them.
    ``graph_rows``: sequences up to which decoding is replayed from graphs (0: never);
    ``graph_context``: tokens of a sequence up to which it is (0: any).
    ``fused_attention``: whether the scores of prompts stay on the chip, else they are written and
    read again. ``shared_keys``: whether query heads that share keys read them together while
    decoding, else each reads them anew. ``cuts_keys``: whether the keys of a head are cut over
    multiprocessors while decoding, else one has them all. ``overlaps``: whether a batch is worked
    on in two halves, the one's traffic to the experts behind the other's kernels: ``always``,
    ``asked`` or never (empty). ``small_kernels``: memory-bound kernels of a layer beside products
    and attention. ``vector``: precision at which vector units take its products, where it leaves
    matrix units alone; ``tables``: they look products with few bits up. ``narrow_sums``: whether
    products of 16 bits add up in 16 bits. ``widened_from``: rows of a product from which narrow
    weights are first written out in 16 bits (0: never). ``rows``: whether tensor-parallel ranks
    copy the inputs and results of each product to and from the first rank, in turn, instead of
    adding up. ``beside``: format of what is not experts where only that of experts is said (empty:
    bf16). ``alone_below``: tokens of a step below which each reads its experts anew.
    ``expert_rows``: rows to which those of each expert are filled up, whether a token chose it or
    not (0: they are not). ``whole_context``: whether a step attends to all of the context that it
    was compiled for; ``doubling_context``: whether it is compiled for powers of two, and attends to
    all of the next one. ``wide_windows``: whether decoding reads as many keys beside a window as a
    step may have tokens.
    ``poll_steps``: steps between two looks at what has arrived. ``wait_steps``: steps for which
    prompts wait until they fill ``wait_share`` of the budget.
    ``step_time``: host time of a step that the device waits for; ``sequence_time``: of each
    sequence; ``launch_time``: of a kernel outside graphs, which hides behind kernels unless
    ``launches_itself``: the processor that launches them runs them too; ``entry_time``: from a
    client to the queue and back. [s] ``corrections``: by chips and formats, from general to
    special.
    """

    id: str
    name: str
    match: tuple[str, ...] = ()
    usual: tuple[str, ...] = ()
    usual_small: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    vendors: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    own_all_reduce: str = ""
    mixed: bool = True
    chunked: bool = True
    budget: int = 8192
    most: int = 256
    block: int = 16
    memory_share: float = 0.9
    reserve_bytes: float = 0.7e9
    free_share: float = 1.0
    promise: float = 0.0
    splits_cache: bool = False
    reuse: bool = True
    narrow_cache: bool = False
    narrow_heads: tuple[str, ...] = ()
    graph_rows: int = 512
    graph_context: int = 0
    fused_attention: bool = True
    shared_keys: bool = True
    cuts_keys: bool = True
    overlaps: Literal["", "asked", "always"] = ""
    small_kernels: float = 5.0
    vector: str = ""
    narrow_sums: bool = False
    widened_from: int = 0
    rows: bool = False
    beside: str = ""
    alone_below: int = 0
    expert_rows: int = 0
    whole_context: bool = False
    doubling_context: bool = False
    wide_windows: bool = False
    poll_steps: int = 1
    wait_steps: int = 0
    wait_share: float = 0.0
    step_time: float = 1e-3
    sequence_time: float = 0.0
    launch_time: float = 5e-6
    launches_itself: bool = False
    entry_time: float = 0.01
    corrections: tuple[Correction, ...] = ()

    def correction(self, *, profile: str, accelerator: str, weights: str) -> Correction:
        """The most special correction that holds for a chip and a format."""
        asked = {"profile": profile, "accelerator": accelerator, "weights": weights}
        found = Correction()
        for one in self.corrections:
            wanted = {name: getattr(one, name) for name in asked}
            if all(not value or value == asked[name] for name, value in wanted.items()):
                found = one
        return found


class Deployment(Record, frozen=True, kw_only=True):
    """How one replica of a model is cut over accelerators and in which formats it runs.

    ``tp``, ``pp``: tensor and pipeline parallelism. ``dp``: data-parallel ranks of attention that
    share the experts. ``ep``: ranks that the experts are spread over (of ``tp × dp``); the rest
    cuts each expert. ``weights``, ``expert_weights``: formats by id. ``cache``: format of the
    cache, ``bf16`` or ``fp8``. ``budget``, ``most``, ``memory_share``: over the engine's own.
    ``cp``: ranks, of ``tp``, that cut a sequence's cache between them while decoding, so no two
    have the same. ``cache_tokens``: room for them in a rank's cache, where the engine has printed
    it (0: computed). ``drafted``: tokens that speculation adds to each sequence's step,
    ``accepted``: of these, kept on average; ``drafter``: who proposes them, ``layer`` (a layer of
    the model's own kind and its head: MTP, EAGLE), ``model`` (a smaller model) or nobody that takes
    time (n-grams).
    ``adapters``: low-rank adapters loaded, of rank ``adapter_rank``, one for each sequence.
    ``overlap``: whether a batch is worked on in two halves, where the engine does so when asked.
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    weights: str = "bf16"
    expert_weights: str = ""
    cache: str = "bf16"
    budget: int = 0
    most: int = 0
    memory_share: float = 0.0
    cp: int = 1
    cache_tokens: float = 0.0
    drafted: int = 0
    accepted: float = 0.0
    drafter: str = ""
    adapters: int = 0
    adapter_rank: int = 16
    overlap: bool = False

    @property
    def accelerators(self) -> int:
        """How many accelerators one replica takes."""
        return self.tp * self.pp * self.dp

    @property
    def lanes(self) -> int:
        """Parts of the batch that are worked on side by side."""
        return self.pp * self.dp


class Outage(Record, frozen=True, kw_only=True):
    """A failure: when [s], of which replica, those that take prompts first, and how long [s]."""

    at: float
    lasts: float
    replica: int = 0


class Service(Record, frozen=True, kw_only=True):
    """How replicas are run together.

    ``router``: ``round-robin``, ``least-loaded`` or ``prefix-aware`` (empty: the last where prompts
    are known to share beginnings, else the second). ``reuse``: whether engines that can keep those.
    ``target``: requests for each replica at which a scaler aims (0: all replicas are always up),
    ``least``: replicas that it leaves up, ``load_time``: until one that it starts serves [s],
    beside the time for its weights at ``load_rate`` for each accelerator (0: counted already)
    [B/s], ``calm``: for which fewer must do before it lets one go. [s] ``outages``: failures.
    """

    router: str = ""
    reuse: bool = True
    target: float = 0.0
    least: int = 1
    load_time: float = 0.0
    load_rate: float = 0.0
    calm: float = 300.0
    outages: tuple[Outage, ...] = ()
