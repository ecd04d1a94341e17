"""Families that are known and are not read, with what they are instead."""

from __future__ import annotations

from clusterwright.model.families.registry import READERS

_ENCODER = "an encoder that does not generate; clusterwright reads decoders and encoder–decoders"
_VISION = "a vision model; clusterwright reads language models (name its text part)"
_AUDIO = "an audio model; clusterwright reads language models"

REFUSED: dict[str, str] = {
    **dict.fromkeys(
        """albert bert bert-generation big_bird camembert canine convbert data2vec-text deberta
        deberta-v2 distilbert electra ernie ernie_m esm eurobert flaubert funnel ibert layoutlm
        layoutlmv2 layoutlmv3 lilt longformer luke lxmert markuplm megatron-bert mobilebert
        modernbert mpnet mra nezha nomic_bert nystromformer perceiver qdqbert rembert roberta
        roberta-prelayernorm roc_bert roformer splinter squeezebert tapas xlm xlm-roberta
        xlm-roberta-xl xmod yoso""".split(),
        _ENCODER,
    ),
    **dict.fromkeys(
        """align altclip beit bit blip blip-2 clip clipseg convnext convnextv2 cvt deit detr dinov2
        dinov3_vit dpt efficientnet flava groupvit hiera levit mask2former maskformer mobilevit
        owlvit poolformer pvt regnet resnet sam segformer siglip siglip2 siglip_vision_model
        swin swinv2 timesformer vilt vit vit_mae vit_msn vitdet vivit yolos""".split(),
        _VISION,
    ),
    **dict.fromkeys(
        """audio-spectrogram-transformer bark clap clvp data2vec-audio dac encodec fastspeech2_conformer
        hubert mimi musicgen musicgen_melody seamless_m4t seamless_m4t_v2 sew sew-d speech_to_text
        speecht5 unispeech unispeech-sat univnet vits wav2vec2 wav2vec2-bert
        wav2vec2-conformer wavlm whisper""".split(),
        _AUDIO,
    ),
}
"""What a ``model_type`` is, to complete "model_type 'x' is …"."""

assert not REFUSED.keys() & READERS.keys()  # noqa: S101 (an invariant of this package)
