"""Every architecture's ``config.json``: in Hugging Face's form, or our own. A plain dictionary."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from training.backbones.conditional_gan.config import ConditionalGANConfig
from training.backbones.conditional_vae.config import ConditionalVAEConfig
from training.backbones.contract import BackboneConfig
from training.backbones.multi_task.config import MultiTaskConfig
from training.backbones.wide_deep.config import WideDeepConfig
from training.errors import TrainingError
from training.interop.forms.bert import FORM as BERT
from training.interop.forms.distilbert import FORM as DISTILBERT
from training.interop.forms.form import Form, OwnForm
from training.interop.forms.gpt2 import FORM as GPT2
from training.interop.forms.gpt3 import FORM as GPT3
from training.interop.forms.images import FORMS as IMAGES
from training.interop.forms.images import ImageForm
from training.interop.forms.opt import FORM as OPT
from training.interop.forms.roberta import FORM as ROBERTA
from training.interop.forms.timm import timm_config

_ALL: tuple[Form | OwnForm, ...] = (
    *(GPT2, GPT3, BERT, DISTILBERT, ROBERTA, OPT),
    *IMAGES,
    OwnForm(WideDeepConfig),
    OwnForm(ConditionalVAEConfig),
    OwnForm(ConditionalGANConfig),
    OwnForm(MultiTaskConfig),
)
#: By ``model_type``, which is the architecture's name in the registry too.
FORMS: dict[str, Form | OwnForm] = {form.model_type: form for form in _ALL}


def form_of(payload: Mapping[str, Any]) -> Form | OwnForm:
    """The form that a ``config.json`` is in.

    Raises:
        TrainingError: ``config_model_type``.
    """
    found = payload.get("model_type")
    if not isinstance(found, str) or found not in FORMS:
        shown = str(found or "?")[:120]
        raise TrainingError("config_model_type", found=shown, known=", ".join(FORMS))
    return FORMS[found]


def exported_class(config: BackboneConfig) -> str:
    """The class of ``transformers`` that opens an export of a model; empty: none does."""
    form = FORMS.get(config.architecture)
    if not isinstance(form, Form):
        return ""
    payload = form.exported(config, form.write(config))
    return str(payload["architectures"][0]) if form_of(payload).opens else ""


def opening(config: BackboneConfig, place: str = "") -> str:
    """Lines of Python that open an export as others read it; empty: nobody else can.

    Args:
        config: The model.
        place: Its name on the Hub; none: the folder one is in.
    """
    if isinstance(FORMS.get(config.architecture), ImageForm):
        if timm_config(config) is None:
            return ""
        where = f"hf-hub:{place}" if place else "local-dir:."
        return f'import timm\nmodel = timm.create_model("{where}", pretrained=True)'
    if not (model_class := exported_class(config)):
        return ""
    where = place or "."
    return (
        f"from transformers import AutoTokenizer, {model_class}\n"
        f'tokenizer = AutoTokenizer.from_pretrained("{where}")\n'
        f'model = {model_class}.from_pretrained("{where}")'
    )


def read_config(payload: Mapping[str, Any], names: Collection[str] = ()) -> BackboneConfig:
    """Our configuration of a ``config.json`` that we can represent exactly; see :meth:`Form.read`.

    Raises:
        TrainingError: ``config_*``, naming the field.
    """
    return form_of(payload).read(payload, names)
