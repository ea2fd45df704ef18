"""How features are taken of a frozen model, and which ways fit which model."""

from __future__ import annotations

from typing import Literal, cast, get_args

from pydantic import Field

from training.backbones.contract import BackboneConfig
from training.backbones.image_config import ImageConfig
from training.backbones.registry import BACKBONES, require_self_contained
from training.data.pixels import ImageNormalisation, ImagePx
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.settings import Settings

Kind = Literal["text", "image"]
TextPooling = Literal["mean", "max", "mean_max", "first", "last", "attention"]
ImagePooling = Literal["mean", "max", "mean_max", "adaptive_max", "first", "attention"]
Pooling = Literal["mean", "max", "mean_max", "adaptive_max", "first", "last", "attention"]

#: What may be asked of a model that reads this kind of data.
POOLINGS: dict[Kind, tuple[str, ...]] = {
    "text": get_args(TextPooling),
    "image": get_args(ImagePooling),
}


class FeatureSettings(Settings):
    """What decides the features of an example, beside the model and the example."""

    pooling: Pooling = Field(
        "mean",
        title=_("Pooling"),
        description=_(
            "How what the model sees in each place of a text or an image becomes one vector: the "
            "mean (of images: global average), the maximum, both, the maxima of the four quarters "
            "of an image, the first token (BERT's [CLS], a vision transformer's class token), "
            "the last one (models that write), or a mean in which each place counts as much as "
            "attention gives it, learned with the head."
        ),
    )
    most_tokens: int | None = Field(
        None,
        ge=1,
        le=32_768,
        title=_("Longest text (tokens)"),
        description=_("Longer texts are cut; empty: at the model's context."),
    )
    image_px: ImagePx = None
    normalisation: ImageNormalisation = "auto"
    batch_size: int = Field(
        32,
        ge=1,
        le=4096,
        title=_("Batch size"),
        description=_("Texts or images computed together."),
    )


def kind_of(config: BackboneConfig) -> Kind:
    """What a model reads.

    Raises:
        TrainingError: ``model_of_tables``.
    """
    require_self_contained(config, "source.checkpoint")
    return cast(Kind, BACKBONES[config.architecture].kind)


def require_settings(config: BackboneConfig, settings: FeatureSettings) -> None:
    """Refuse what cannot be had of a model.

    Raises:
        TrainingError: ``pooling_of_the_other_kind``; ``pooling_sees_nothing`` for the first token
            of a model that looks back only; ``pooling_needs_token`` for that of a network of
            images that has none; ``image_size_fixed``; ``image_channels``.
    """
    backbone, pooling = BACKBONES[config.architecture], settings.pooling
    if pooling not in POOLINGS[kind_of(config)]:
        raise TrainingError(
            "pooling_of_the_other_kind", field="pooling", architecture=backbone.title
        )
    if pooling == "first" and backbone.writes:
        raise TrainingError("pooling_sees_nothing", field="pooling", architecture=backbone.title)
    if pooling == "first" and backbone.kind == "image" and config.attention_heads is None:
        raise TrainingError("pooling_needs_token", field="pooling", architecture=backbone.title)
    if isinstance(config, ImageConfig):
        fixed = config.fixed_px
        if fixed is not None and settings.image_px not in (None, fixed):
            raise TrainingError("image_size_fixed", field="image_px", size=fixed)
        if config.in_channels not in (1, 3):
            raise TrainingError(
                "image_channels", field="source.checkpoint", channels=config.in_channels
            )


def require_kind(config: BackboneConfig, kind: Kind) -> None:
    """Refuse a model that reads something else.

    Raises:
        TrainingError: ``features_need_text``, ``features_need_images``.
    """
    backbone = BACKBONES[config.architecture]
    if backbone.kind != kind:
        raise TrainingError(
            "features_need_text" if kind == "text" else "features_need_images",
            field="source.checkpoint",
            architecture=backbone.title,
        )
