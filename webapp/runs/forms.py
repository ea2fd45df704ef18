"""The forms of all methods that the engine's loop trains."""

from __future__ import annotations

from webapp.runs.form import RunForm
from webapp.runs.form_causal_lm import CausalLMForm
from webapp.runs.form_classification import ClassificationForm
from webapp.runs.form_conditional_lm import ConditionalLMForm
from webapp.runs.form_generative import CGANForm, CVAEForm
from webapp.runs.form_multi_task import MultiTaskForm
from webapp.runs.form_regression import RegressionForm
from webapp.runs.form_siamese import BYOLForm, MoCoForm, SimCLRForm, SimSiamForm
from webapp.runs.form_token_classification import TokenClassificationForm
from webapp.runs.form_wide_deep import WideDeepForm

FORMS: dict[str, type[RunForm]] = {
    form.method: form
    for form in (
        CausalLMForm,
        ConditionalLMForm,
        ClassificationForm,
        RegressionForm,
        TokenClassificationForm,
        SimCLRForm,
        BYOLForm,
        SimSiamForm,
        MoCoForm,
        WideDeepForm,
        CVAEForm,
        CGANForm,
        MultiTaskForm,
    )
}


def form_class(method: str | None) -> type[RunForm]:
    """The form of a method; the language model's where there is no such method."""
    return FORMS.get(method or "", CausalLMForm)
