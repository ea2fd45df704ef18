"""OPT's ``config.json`` in Hugging Face's form."""

from __future__ import annotations

from training.backbones.opt.config import OPTConfig
from training.interop.forms.encoder import IGNORED
from training.interop.forms.form import ACTIVATIONS, Form

FORM = Form(
    config=OPTConfig,
    model_type="opt",
    architectures={"OPTForCausalLM": {}, "OPTModel": {}},
    words={"activation_function": ACTIVATIONS},
    ignored=IGNORED | {"init_std", "is_decoder"},
    # Models fine-tuned with transformers before 4.20 lack the last layer norm.
    only={"_remove_final_layer_norm": (False,)},
    dropout=("dropout", "attention_dropout"),
    dropout_if_given=("activation_dropout", "layerdrop"),
    written={"_remove_final_layer_norm": False, "init_std": 0.02, "use_cache": True},
    prefix="model.",
)
