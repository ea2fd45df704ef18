"""The base of every spec, and how a refused spec is explained field by field."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from training.errors import gettext_noop as _


class Settings(BaseModel):
    """Base of every part of a spec: unknown fields are refused, never silently dropped.

    Numbers are finite: JSON has no way to write others.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def spec_sha256(spec: Settings) -> str:
    """Hash of a spec with every default filled in, whatever the order and layout of its file."""
    payload = json.dumps(spec.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(payload.encode()).hexdigest()


#: Our own rules' sentences and pydantic's, by error type, with %-placeholders.
PROBLEMS: dict[str, str] = {
    "warmup_longer_than_run": _("The warm-up is longer than the run's %(steps)s steps."),
    "model_and_base": _("Choose a new model or one whose values stay, not both."),
    "base_and_tokenizer": _(
        "A model whose values stay keeps its own vocabulary too; do not choose another."
    ),
    "model_missing": _("Choose a model, or a source whose architecture is used."),
    "policy_without_source": _(
        "Without a source there is nothing that could stay as it is: train everything."
    ),
    "lora_without_source": _("LoRA adapts weights that have learned something: it needs a source."),
    "lora_and_l2_sp": _(
        "With LoRA the weights themselves stay as they are: there is nothing to pull."
    ),
    "norms_without_source": _("There are no statistics of a source to normalise by."),
    "l2_sp_without_source": _("There is no source to pull the weights towards."),
    "tokenizer_without_source": _("There is no source to take a tokenizer from."),
    "sequence_longer_than_context": _("The model's context holds %(context)s tokens at most."),
    "heads_do_not_divide": _("The width must be a multiple of the number of heads (%(heads)s)."),
    "head_unknown": _("This architecture has these heads: %(known)s."),
    "pooler_needed": _("The head %(head)s reads the pooler."),
    "labels_without_head": _("Labels belong to the classification head, which needs them."),
    "attention_needs_logistic": _(
        "Attention is learned together with a linear probe: choose that head, or another pooling."
    ),
    "labels_twice": _("Two labels have the same name."),
    "padding_outside": _("The padding token is not in the vocabulary, or leaves no position."),
    "patches_do_not_divide": _("The image size must be a multiple of the patch size (%(patch)s)."),
    "one_width_a_stage": _("There must be one width for each of the %(stages)s stages."),
    "widths_not_even": _("Every width must be an even number."),
    "batch_of_one": _("Each device needs two images or more of a batch: they are compared."),
    "batch_not_divisible": _("The batch must divide evenly among %(devices)s devices."),
    "queue_not_multiple": _("The queue must be a multiple of the batch size (%(batch)s)."),
    "parts_do_not_divide": _(
        "The batch of %(batch)s must divide into so many equal parts on each device, of two images "
        "or more."
    ),
    "mel_bands_step": _("The bands of a sound are a multiple of %(step)s."),
    "hop_too_long": _(
        "The hop is half of the window at most, here %(most)s ms: what lies between two windows "
        "cannot be heard again."
    ),
    "image_px_step": _("Images are made at sizes that are multiples of %(step)s pixels."),
    "grey_or_colour": _("Images have one channel (grey) or three (RGB)."),
    "samples_too_often": _(
        "Samples are kept for each time that they are shown: at so many steps, show them every "
        "%(least)s steps or less often."
    ),
    "one_width_a_column": _("There must be one width for each of the %(columns)s columns."),
    "one_output_a_task": _("There must be a number of outputs for each of the %(tasks)s tasks."),
    "task_twice": _("The target %(target)s stands there twice."),
    "task_weights_are_learned": _(
        "The weights are learned: leave those beside the targets out, or choose fixed ones."
    ),
    "cross_columns": _("Cross two to %(most)s different columns, as in education × occupation."),
    "crosses_without_wide": _(
        "Only the wide part has crosses: leave them out, or choose another part."
    ),
    "network_is_the_source_s": _(
        "With a source, crosses, buckets and network are the source's: leave those settings at "
        "their defaults."
    ),
    "nothing_left_to_train": _("Validation and test share leave nothing to train on."),
    "cycles_more_than_steps": _("There are more cycles than the run's %(steps)s steps."),
    "members_two": _("An ensemble takes two members or more."),
    "members_twice": _("A member is named twice."),
    "members_and_ensemble": _("An ensemble that is there has its own members."),
    "merge_two": _("An interpolation takes two checkpoints, and there are %(count)s."),
    "merge_several": _("A soup takes two checkpoints or more."),
    "merge_without_base": _("Choose the checkpoint that the others were fine-tuned from."),
    "merge_scales": _("There are %(found)s scales for %(count)s checkpoints."),
    "merge_without_target": _("This needs a data set with the role of a target to be judged by."),
    "architecture_not_trained": _("This method does not train %(architecture)s models."),
    "architecture_unknown": _("There is no such architecture. Known: %(known)s."),
    "missing": _("This field is needed."),
    "extra_forbidden": _("There is no such setting."),
    "int_parsing": _("Write a whole number."),
    "int_type": _("Write a whole number."),
    "int_from_float": _("Write a whole number."),
    "float_parsing": _("Write a number."),
    "float_type": _("Write a number."),
    "finite_number": _("Write a finite number."),
    "bool_parsing": _("Write yes or no."),
    "bool_type": _("Write yes or no."),
    "string_type": _("Write text."),
    "string_too_short": _("Write at least %(min_length)s characters."),
    "string_too_long": _("Write at most %(max_length)s characters."),
    "too_short": _("Choose at least %(min_length)s."),
    "too_long": _("At most %(max_length)s are possible."),
    "list_type": _("Write a list."),
    "greater_than": _("Must be more than %(gt)s."),
    "greater_than_equal": _("Must be %(ge)s or more."),
    "less_than": _("Must be less than %(lt)s."),
    "less_than_equal": _("Must be %(le)s or less."),
    "literal_error": _("Choose one of %(expected)s."),
}


@dataclass(frozen=True)
class Problem:
    """What is wrong at one field: ``gettext(message) % params`` is the sentence."""

    field: str
    message: str
    params: dict[str, Any] = dataclass_field(default_factory=dict)

    def __str__(self) -> str:
        return self.message % self.params


def field_error(code: str, field: str, **context: Any) -> PydanticCustomError:
    """An error for a model validator to raise that still names one field, relative to the model."""
    message = PROBLEMS[code] % context
    return PydanticCustomError(code, "{message}", {"field": field, "message": message, **context})


def problems(error: ValidationError) -> list[Problem]:
    """A validation error as one sentence a field, in the order of the fields."""
    found = []
    for item in error.errors(include_url=False, include_input=False):
        context = dict(item.get("ctx", {}))
        location = [str(part) for part in item["loc"]]
        if relative := context.pop("field", ""):
            location.append(relative)
        context.pop("message", None)
        template = PROBLEMS.get(item["type"])
        if template is None:
            template, context = "%(detail)s", {"detail": item["msg"]}
        found.append(Problem(".".join(location), template, context))
    return found
