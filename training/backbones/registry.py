"""Every backbone: a plain dictionary, so that reading it is enough to know what there is."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny
from pydantic_core import PydanticCustomError

from training.backbones.bert.config import PRESETS as BERT_PRESETS
from training.backbones.bert.config import BertConfig
from training.backbones.conditional_gan.config import PRESETS as CONDITIONAL_GAN_PRESETS
from training.backbones.conditional_gan.config import ConditionalGANConfig
from training.backbones.conditional_vae.config import PRESETS as CONDITIONAL_VAE_PRESETS
from training.backbones.conditional_vae.config import ConditionalVAEConfig
from training.backbones.contract import Backbone, BackboneConfig
from training.backbones.densenet.config import PRESETS as DENSENET_PRESETS
from training.backbones.densenet.config import DenseNetConfig
from training.backbones.distilbert.config import PRESETS as DISTILBERT_PRESETS
from training.backbones.distilbert.config import DistilBertConfig
from training.backbones.efficientnet_lite.config import PRESETS as EFFICIENTNET_LITE_PRESETS
from training.backbones.efficientnet_lite.config import EfficientNetLiteConfig
from training.backbones.gpt2.config import PRESETS as GPT2_PRESETS
from training.backbones.gpt2.config import GPT2Config
from training.backbones.gpt3.config import PRESETS as GPT3_PRESETS
from training.backbones.gpt3.config import GPT3Config
from training.backbones.mobilenet_v3.config import PRESETS as MOBILENET_V3_PRESETS
from training.backbones.mobilenet_v3.config import MobileNetV3Config
from training.backbones.multi_task.config import PRESETS as MULTI_TASK_PRESETS
from training.backbones.multi_task.config import MultiTaskConfig
from training.backbones.opt.config import PRESETS as OPT_PRESETS
from training.backbones.opt.config import OPTConfig
from training.backbones.resnet.config import PRESETS as RESNET_PRESETS
from training.backbones.resnet.config import ResNetConfig
from training.backbones.roberta.config import PRESETS as ROBERTA_PRESETS
from training.backbones.roberta.config import RobertaConfig
from training.backbones.shufflenet.config import PRESETS as SHUFFLENET_PRESETS
from training.backbones.shufflenet.config import ShuffleNetConfig
from training.backbones.vit.config import PRESETS as VIT_PRESETS
from training.backbones.vit.config import ViTConfig
from training.backbones.wide_deep.config import PRESETS as WIDE_DEEP_PRESETS
from training.backbones.wide_deep.config import WideDeepConfig
from training.errors import TrainingError

_MODEL = "training.backbones.%s.model"

BACKBONES: dict[str, Backbone] = {
    "gpt2": Backbone(
        "GPT-2", "text", GPT2Config, dict(GPT2_PRESETS), _MODEL % "gpt2", "GPT2", writes=True
    ),
    "gpt3": Backbone(
        "GPT-3", "text", GPT3Config, dict(GPT3_PRESETS), _MODEL % "gpt3", "GPT3", writes=True
    ),
    "bert": Backbone("BERT", "text", BertConfig, dict(BERT_PRESETS), _MODEL % "bert", "Bert"),
    "distilbert": Backbone(
        "DistilBERT",
        "text",
        DistilBertConfig,
        dict(DISTILBERT_PRESETS),
        _MODEL % "distilbert",
        "DistilBert",
    ),
    "opt": Backbone(
        "OPT", "text", OPTConfig, dict(OPT_PRESETS), _MODEL % "opt", "OPT", writes=True
    ),
    "roberta": Backbone(
        "RoBERTa", "text", RobertaConfig, dict(ROBERTA_PRESETS), _MODEL % "roberta", "Roberta"
    ),
    "resnet": Backbone(
        "ResNet and ResNeXt",
        "image",
        ResNetConfig,
        dict(RESNET_PRESETS),
        "training.backbones.resnet.model",
        "ResNet",
    ),
    "densenet": Backbone(
        "DenseNet",
        "image",
        DenseNetConfig,
        dict(DENSENET_PRESETS),
        "training.backbones.densenet.model",
        "DenseNet",
    ),
    "shufflenet": Backbone(
        "ShuffleNetV2",
        "image",
        ShuffleNetConfig,
        dict(SHUFFLENET_PRESETS),
        "training.backbones.shufflenet.model",
        "ShuffleNet",
    ),
    "efficientnet_lite": Backbone(
        "EfficientNet-Lite",
        "image",
        EfficientNetLiteConfig,
        dict(EFFICIENTNET_LITE_PRESETS),
        "training.backbones.efficientnet_lite.model",
        "EfficientNetLite",
    ),
    "mobilenet_v3": Backbone(
        "MobileNetV3",
        "image",
        MobileNetV3Config,
        dict(MOBILENET_V3_PRESETS),
        "training.backbones.mobilenet_v3.model",
        "MobileNetV3",
    ),
    "vit": Backbone(
        "Vision transformer",
        "image",
        ViTConfig,
        dict(VIT_PRESETS),
        "training.backbones.vit.model",
        "ViT",
    ),
    "wide_deep": Backbone(
        "Wide & Deep",
        "table",
        WideDeepConfig,
        dict(WIDE_DEEP_PRESETS),
        "training.backbones.wide_deep.model",
        "WideDeep",
    ),
    "conditional_vae": Backbone(
        "Conditional VAE",
        "generator",
        ConditionalVAEConfig,
        dict(CONDITIONAL_VAE_PRESETS),
        _MODEL % "conditional_vae",
        "ConditionalVAE",
    ),
    "conditional_gan": Backbone(
        "Conditional GAN",
        "generator",
        ConditionalGANConfig,
        dict(CONDITIONAL_GAN_PRESETS),
        _MODEL % "conditional_gan",
        "ConditionalGAN",
    ),
    "multi_task": Backbone(
        "Multi-task network",
        "table",
        MultiTaskConfig,
        dict(MULTI_TASK_PRESETS),
        "training.backbones.multi_task.model",
        "MultiTask",
    ),
}

#: Those of which configuration and weights say all there is to say. A table's model looks at
#: columns that stand beside them, and a generator's rows belong to classes by name: neither is
#: copied, merged, imported or written in others' forms.
SELF_CONTAINED = frozenset(
    key for key, backbone in BACKBONES.items() if backbone.kind in ("text", "image")
)
#: Kind → what is said when such a model is asked for what does not know of it.
_REFUSED = {"table": "model_of_tables", "generator": "model_makes_images"}


def require_self_contained(config: BackboneConfig, field: str | None = None) -> None:
    """Refuse a model of tables, or one that makes images, by name.

    Raises:
        TrainingError: ``model_of_tables``, ``model_makes_images``.
    """
    if config.architecture not in SELF_CONTAINED:
        backbone = BACKBONES[config.architecture]
        raise TrainingError(_REFUSED[backbone.kind], field=field, architecture=backbone.title)


def config_of(values: Mapping[str, Any]) -> BackboneConfig:
    """A configuration from its fields, as :meth:`pydantic.BaseModel.model_dump` gives them.

    Raises:
        KeyError: An architecture that is not known.
        pydantic.ValidationError: Values that it cannot have.
    """
    return BACKBONES[values.get("architecture", "gpt2")].config.model_validate(dict(values))


def _config(value: Any) -> BackboneConfig:
    if isinstance(value, BackboneConfig):
        return value
    if not isinstance(value, Mapping) or value.get("architecture", "gpt2") not in BACKBONES:
        raise PydanticCustomError("architecture_unknown", "", {"known": ", ".join(BACKBONES)})
    return config_of(value)


#: A field of a spec that holds any architecture's configuration.
AnyConfig = Annotated[SerializeAsAny[BackboneConfig], BeforeValidator(_config)]


def model_class(architecture: str) -> Any:
    """The Keras model of an architecture; imports TensorFlow."""
    backbone = BACKBONES[architecture]
    return getattr(import_module(backbone.module), backbone.model)
