"""The form of a new run: prefilled, checked while one types, and sent."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from django.test import Client

from tests.factories import Cast, make_version
from tests.factories.runs import make_run, make_source
from training.backbones.gpt2.config import GPT2Config
from webapp.jobs.models import State
from webapp.runs.form_causal_lm import CausalLMForm
from webapp.runs.models import Run

URL, CHECK, SOURCES = "/runs/new", "/runs/new/check", "/runs/new/sources"


def send(client: Client, cast: Cast, url: str = URL, **values: Any) -> Any:
    form = CausalLMForm(
        {name.replace("__", "."): value for name, value in values.items()}, cast.team
    )
    data = QueryDict(mutable=True)
    for name, value in form.values.items():
        if isinstance(value, list):
            data.setlist(name, value)
        elif value is not False:
            data[name] = "on" if value is True else value
    if "action" in values:
        data["action"] = values["action"]
    if "yaml" in values:
        data["yaml"] = values["yaml"]
    return client.post(url, data.urlencode(), "application/x-www-form-urlencoded")


def test_viewers_may_neither_open_nor_send_it(client: Client, cast: Cast) -> None:
    client.force_login(cast.vera)
    assert client.get(URL).status_code == 403
    assert client.get(SOURCES).status_code == 403
    assert send(client, cast, data=str(make_version(cast).pk)).status_code == 403
    assert send(client, cast, CHECK).status_code == 403
    assert not Run.objects.exists()


def test_it_opens_without_data_and_says_where_to_get_some(alice: Client) -> None:
    assert "There is no data yet." in alice.get(URL).text


def test_links_prefill_it(alice: Client, cast: Cast) -> None:
    version, source = make_version(cast), make_source(cast)
    form = alice.get(URL, {"data": version.pk, "source": source.pk}).context["form"]
    assert form.values["data"] == str(version.pk)
    assert form.values["source"] == f"checkpoint/{source.pk}"
    assert form.values["tokenizer.kind"] == "source"
    assert form.spec is not None


def test_another_architecture_begins_with_the_sources(alice: Client, cast: Cast) -> None:
    shape = {"vocab_size": 512, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2}
    source = make_source(cast, config=GPT2Config(**shape))
    page = alice.get(URL, {"source": source.pk})
    form = page.context["form"]
    for name in ("n_layer", "n_embd", "n_head", "n_positions"):
        assert form.values[f"model.{name}"] == str(shape[name])
    assert form.values["training.sequence_length"] == "64"
    assert form.values["preset"] == ""
    # Which weights go where is known before the data is.
    assert page.context["draft"].plan.percent == 100


def test_it_takes_the_settings_of_a_run(alice: Client, cast: Cast) -> None:
    run = make_run(cast, source=make_source(cast), twin=True, spec={"seed": 12})
    form = alice.get(URL, {"like": run.pk}).context["form"]
    assert form.spec.model_dump(mode="json") == run.job.spec
    assert form.values["twin"] is True


def test_the_settings_of_another_teams_run_are_a_404(client: Client, cast: Cast) -> None:
    run = make_run(cast)
    client.force_login(cast.mallory)
    assert client.get(URL, {"like": run.pk}).status_code == 404


def test_sending_it_makes_the_run_and_its_twin(alice: Client, cast: Cast) -> None:
    response = send(
        alice,
        cast,
        name="Mine",
        data=str(make_version(cast).pk),
        how="transfer",
        source=f"checkpoint/{make_source(cast).pk}",
        tokenizer__kind="source",
        twin=True,
    )
    run = Run.objects.get(twin_of=None)
    assert response.url == f"/runs/{run.pk}"
    assert run.name == "Mine"
    assert run.twin.job.spec["source"] is None


def test_a_mistake_loses_nothing(alice: Client, cast: Cast) -> None:
    response = send(
        alice,
        cast,
        name="Kept <name>",
        training__steps="many",
        training__beta_1="0.5x",
        evaluation__prompts="One\nTwo",
    )
    assert response.status_code == 422
    for text in ("Kept &lt;name&gt;", 'value="many"', 'value="0.5x"', "One\nTwo"):
        assert text in response.text
    assert "Write a whole number." in response.text
    assert "Choose the data to learn from." in response.text
    assert not Run.objects.exists()


def test_a_preset_can_be_chosen_without_javascript(alice: Client, cast: Cast) -> None:
    response = send(alice, cast, preset="micro", action="preset")
    assert response.context["form"].values["model.n_embd"] == "256"
    assert not Run.objects.exists()


def test_pasted_yaml_fills_it(alice: Client, cast: Cast) -> None:
    response = send(alice, cast, action="yaml", yaml="seed: 41\ntraining: {steps: 9}")
    assert response.context["form"].values["seed"] == "41"
    wrong = send(alice, cast, action="yaml", yaml="seed: [")
    assert "is not YAML" in wrong.text
    assert "seed: [" in wrong.text


def test_the_check_answers_with_errors_estimate_and_yaml(alice: Client, cast: Cast) -> None:
    version = make_version(cast)
    good = send(alice, cast, CHECK, data=str(version.pk))
    assert good.status_code == 200
    assert 'id="summary" hx-swap-oob="true"' in good.text
    assert "Time, about" in good.text
    assert f"store:dataset/{version.pk}" in good.text
    bad = send(alice, cast, CHECK, data=str(version.pk), training__steps="0")
    assert "Must be 1 or more." in bad.text
    assert "The estimate comes back" in bad.text
    assert not Run.objects.exists()


def test_the_check_shows_where_weights_go(alice: Client, cast: Cast) -> None:
    text = send(
        alice,
        cast,
        CHECK,
        data=str(make_version(cast).pk),
        how="transfer",
        source=f"checkpoint/{make_source(cast).pk}",
        tokenizer__kind="gpt2",
    ).text
    assert "transformer.wte.weight" in text
    assert "a row would mean another token" in text


def test_a_model_too_large_for_the_memory_is_not_started(alice: Client, cast: Cast) -> None:
    response = send(
        alice, cast, data=str(make_version(cast).pk), model__n_embd="16384", model__n_layer="200"
    )
    assert response.status_code == 422
    assert "There is not enough memory" in response.text
    assert not Run.objects.exists()


def test_sources_are_found_by_name(alice: Client, cast: Cast) -> None:
    make_source(cast, name="Brown nano")
    make_source(cast, name="Other")
    make_source(cast, name="Theirs brown", team=cast.other_team, owner=cast.mallory)
    make_run(cast, name="Brown on its way")
    make_run(cast, name="Brown that failed", state=State.FAILED)
    text = alice.get(SOURCES, {"source_search": "brown"}).text
    assert "Brown nano" in text
    assert "Brown on its way" in text
    for name in ("Other", "Theirs", "that failed"):
        assert name not in text
