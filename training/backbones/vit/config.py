"""The vision transformer's configuration and tensors, by timm's names.

- Dosovitskiy et al., 2021, "An Image is Worth 16x16 Words: Transformers for Image Recognition at
  Scale", https://arxiv.org/abs/2010.11929

Matrices are stored [out, in]. Row 0 of the positions is the class token's; the others are the
patches', row by row.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from training.backbones.blocks import STD, dense, norm
from training.backbones.contract import TensorSpec
from training.backbones.fields import Heads, Layers, Width
from training.backbones.image_config import ImageConfig, classifier
from training.errors import gettext_noop as _
from training.settings import field_error


class ViTConfig(ImageConfig):
    """Shape of a vision transformer with a class token."""

    FUNCTION: ClassVar[tuple[str, ...]] = ("layer_norm_epsilon",)

    architecture: Literal["vit"] = "vit"
    image_size: int = Field(
        224,
        ge=1,
        le=4096,
        title=_("Image size"),
        description=_("Height and width of the images, a multiple of the patch size."),
    )
    patch_size: int = Field(
        16, ge=1, le=256, title=_("Patch size"), description=_("Side of a patch, in pixels.")
    )
    width: Width = 768
    depth: Layers = 12
    heads: Heads = 12
    inner: int = Field(
        3072,
        ge=1,
        le=65_536,
        title=_("Inner width"),
        description=_("Size of the feed-forward layer."),
    )
    layer_norm_epsilon: float = Field(
        1e-6, gt=0, lt=1, title=_("Layer-norm epsilon"), description=_("The published is 1e-6.")
    )

    @model_validator(mode="after")
    def _consistent(self) -> ViTConfig:
        if self.width % self.heads:
            raise field_error("heads_do_not_divide", "width", heads=self.heads)
        if self.image_size % self.patch_size:
            raise field_error("patches_do_not_divide", "image_size", patch=self.patch_size)
        return self

    @property
    def layers(self) -> int:
        return self.depth

    @property
    def stream_width(self) -> int:
        return self.width

    @property
    def identity_growth(self) -> bool:
        return True

    @property
    def fixed_px(self) -> int:
        return self.image_size

    @property
    def attention_heads(self) -> int:
        return self.heads

    @property
    def side(self) -> int:
        """Patches along a side of the image."""
        return self.image_size // self.patch_size

    def tensors(self) -> list[TensorSpec]:
        width, patch, std = self.width, self.patch_size, STD
        stream, heads, inner = ("width", width), ("heads", width), ("inner", self.inner)
        qkv = ("qkv", 3 * width)

        def token(name: str, role: str, axis: str, rows: int) -> TensorSpec:
            shape, axes = (1, rows, width), ("one", axis, "width")
            return TensorSpec(name, shape, "normal", std, "embeddings", role, axes)

        found = [
            token("cls_token", "class", "class", 1),
            token("pos_embed", "position", "position", self.side**2 + 1),
            TensorSpec(
                "patch_embed.proj.weight",
                (width, self.in_channels, patch, patch),
                "normal",
                std,
                "embeddings",
                "patch.kernel",
                ("width", "channel", "patch", "patch"),
                inputs=(1, 2, 3),
            ),
            TensorSpec(
                "patch_embed.proj.bias",
                (width,),
                "zeros",
                0,
                "embeddings",
                "patch.bias",
                ("width",),
            ),
        ]
        for layer in range(self.depth):
            name, block = f"blocks.{layer}", f"layer.{layer}"
            found += norm(f"{name}.norm1", width, block, "attention.norm")
            found += dense(f"{name}.attn.qkv", (qkv, stream), block, "attention.qkv")
            found += dense(f"{name}.attn.proj", (stream, heads), block, "attention.output")
            found += norm(f"{name}.norm2", width, block, "feed_forward.norm")
            found += dense(f"{name}.mlp.fc1", (inner, stream), block, "feed_forward.in")
            found += dense(f"{name}.mlp.fc2", (stream, inner), block, "feed_forward.out")
        found += norm("norm", width, "final_norm", "")
        return found + classifier("head", self, width)


#: Published sizes; the first is the one that two cores train.
PRESETS: dict[str, ViTConfig] = {
    "vit_tiny_patch16_224": ViTConfig(width=192, heads=3, inner=768),
    "vit_small_patch16_224": ViTConfig(width=384, heads=6, inner=1536),
    "vit_base_patch16_224": ViTConfig(),
}
