"""Choosing what is merged and how, starting it, and the page of what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import TINY, make_checkpoint, promote
from tests.factories.datasets import make_version
from training.command_specs import MergeSpec
from training.data.tokenizer import Tokenizer
from training.weights.checkpoint import write_checkpoint
from training.weights.initial import initial_tensors
from webapp.accounts.models import AuditEvent, Membership
from webapp.checkpoints import jobs
from webapp.checkpoints.folders import store_checkpoint
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.jobs.models import Job, State

URL = "/checkpoints/merge"


@pytest.fixture
def two(cast: Cast) -> list[Checkpoint]:
    return [make_checkpoint(cast, name="Brown"), make_checkpoint(cast, name="Moby")]


def ids(checkpoints: list[Checkpoint]) -> str:
    return ",".join(str(one.pk) for one in checkpoints)


def post(client: Client, checkpoints: list[Checkpoint], **values: Any) -> Any:
    fields = {"name": "Both", "method": "interpolate", "alpha": "0.7"} | values
    return client.post(URL, {"ids": [str(one.pk) for one in checkpoints], **fields})


def test_it_opens_on_the_checkpoints_of_its_address_and_offers_those_that_fit(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    make_checkpoint(cast, name="Deep", config=TINY.model_copy(update={"n_layer": 3}))
    make_checkpoint(cast, name="Many heads", config=TINY.model_copy(update={"n_head": 4}))
    make_checkpoint(cast, name="Other words", files={"tokenizer.json": b"{}"})
    make_checkpoint(cast, name="Theirs", team=cast.other_team, owner=cast.mallory)
    promote(make_checkpoint(cast, name="Archived"), cast.alice, "archived")
    third = make_checkpoint(cast, name="Third")
    client.force_login(cast.alice)
    answer = client.get(URL, {"ids": ids(two)})
    assert answer.context["chosen"] == two
    assert answer.context["form"].more == [third]
    assert answer.context["form"]["name"].value() == "Brown, merged"


def test_without_any_it_offers_all(client: Client, cast: Cast, two: list[Checkpoint]) -> None:
    client.force_login(cast.alice)
    answer = client.get(URL)
    assert answer.status_code == 200
    assert answer.context["form"].more == two[::-1]


def test_one_is_added_removed_and_the_two_are_turned_around(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    client.force_login(cast.alice)
    first, second = two
    add = client.get(URL, {"ids": str(first.pk), "add": str(second.pk)})
    assert add.context["chosen"] == two
    assert client.get(URL, {"ids": ids(two), "turn": "1"}).context["chosen"] == two[::-1]
    remove = client.get(URL, {"ids": ids(two), "remove": str(first.pk)})
    assert remove.context["chosen"] == [second]


def test_another_method_shows_its_own_settings_and_keeps_what_was_typed(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    client.force_login(cast.alice)
    values = {"ids": ids(two), "method": "ties", "name": "Mine", "keep_percent": "30"}
    answer = client.get(URL, values, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert "<html" not in page
    assert 'name="keep_percent" value="30"' in page
    assert 'name="alpha"' not in page
    assert 'value="Mine"' in page
    assert "field-error" not in page


def test_without_scripts_a_button_shows_another_method_s_settings(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    client.force_login(cast.alice)
    answer = post(client, two, method="ties", name="", show="1")
    assert answer.status_code == 200
    assert 'name="keep_percent"' in answer.content.decode()
    assert not CheckpointImport.objects.exists()


def test_it_becomes_a_job_with_a_frozen_spec(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    client.force_login(cast.bob)
    answer = post(client, two)
    row = CheckpointImport.objects.get()
    assert answer["Location"] == f"/checkpoints/import/{row.pk}"
    assert (row.name, row.origin, row.owner) == ("Both", "merged", cast.bob)
    assert set(row.merged.all()) == set(two)
    assert (row.job.kind, row.job.queue) == ("merge", "io")
    spec = MergeSpec.model_validate(row.job.spec)
    assert spec.checkpoints == [f"store:checkpoint/{one.pk}" for one in two]
    assert (spec.alpha, spec.evaluate) == (0.7, None)
    assert AuditEvent.objects.filter(action="checkpoint.merge", actor=cast.bob).exists()
    waiting = client.get(answer["Location"]).content.decode()
    assert "Merged from" in waiting
    assert "Brown, Moby" in waiting


def test_with_data_to_be_judged_by_it_goes_to_a_worker_with_tensorflow(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    target, source = make_version(cast, name="Moby Dick"), make_version(cast, name="Brown")
    client.force_login(cast.alice)
    post(
        client,
        two,
        take_best="on",
        points="3",
        batches="7",
        target=str(target.pk),
        source=str(source.pk),
    )
    job = CheckpointImport.objects.get().job
    assert job.queue == "cpu"
    spec = MergeSpec.model_validate(job.spec)
    assert spec.alpha is None
    assert spec.evaluate is not None
    assert [(data.path, data.role) for data in spec.evaluate.data] == [
        (f"store:dataset/{target.pk}", "target"),
        (f"store:dataset/{source.pk}", "source"),
    ]
    assert (spec.evaluate.alphas, spec.evaluate.batches) == ([0, 0.5, 1], 7)


def test_a_base_is_taken_apart_from_what_was_tuned(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    base = make_checkpoint(cast, name="Base")
    client.force_login(cast.alice)
    post(client, [base, *two], method="ties", base=str(base.pk), scale="0.5", keep_percent="30")
    row = CheckpointImport.objects.get()
    spec = MergeSpec.model_validate(row.job.spec)
    assert spec.base == f"store:checkpoint/{base.pk}"
    assert spec.checkpoints == [f"store:checkpoint/{one.pk}" for one in two]
    assert (spec.scale, spec.keep_percent) == (0.5, 30)
    assert set(row.merged.all()) == {base, *two}


def test_lora_weights_are_added_to_a_base_where_there_are_some(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    files = {"config.json": b"{}", "adapter/adapter_model.safetensors": b"factors"}
    tuned = make_checkpoint(cast, name="Tuned", files=files)
    client.force_login(cast.alice)
    typed = {"method": "lora", "base": str(two[0].pk), "scale": "0.5"}
    answer = post(client, [two[0], tuned, two[1]], **typed)
    assert answer.status_code == 422
    assert "Checkpoint 2 has no LoRA weights" in answer.content.decode()

    post(client, [two[0], tuned], **typed)
    row = CheckpointImport.objects.get()
    spec = MergeSpec.model_validate(row.job.spec)
    assert (spec.method, spec.base) == ("lora", f"store:checkpoint/{two[0].pk}")
    assert spec.checkpoints == [f"store:checkpoint/{tuned.pk}"]
    assert spec.scale == 0.5


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"name": ""}, "name", "required"),
        ({"method": "ties"}, "base", "fine-tuned from"),
        ({"method": "soup_greedy"}, "target", "role of a target"),
        ({"take_best": "on"}, "target", "role of a target"),
        ({"alpha": "1.5"}, "alpha", "less than or equal to 1"),
        ({"points": "1"}, "points", "greater than or equal to 2"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    client: Client,
    cast: Cast,
    two: list[Checkpoint],
    values: dict[str, str],
    field: str,
    words: str,
) -> None:
    client.force_login(cast.alice)
    answer = post(client, two, **values)
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {field}
    assert words in answer.context["form"].errors[field][0]
    assert not CheckpointImport.objects.exists()


def test_too_few_or_unlike_ones_are_refused_above_the_form(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    client.force_login(cast.alice)
    assert "takes two checkpoints" in post(client, two[:1]).content.decode()
    unlike = make_checkpoint(cast, config=TINY.model_copy(update={"n_head": 4}))
    page = post(client, [two[0], unlike]).content.decode()
    assert "Checkpoint 2 has 4 for n_head and the first has 2." in page


def test_another_team_s_checkpoint_is_not_found(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    theirs = make_checkpoint(cast, team=cast.other_team, owner=cast.mallory)
    client.force_login(cast.alice)
    assert client.get(URL, {"ids": ids([two[0], theirs])}).status_code == 404
    assert post(client, [two[0], theirs]).status_code == 404
    assert client.get(URL, {"ids": "nonsense"}).status_code == 404


def test_checkpoints_of_one_s_other_team_are_merged_there(
    client: Client, cast: Cast, two: list[Checkpoint]
) -> None:
    Membership.objects.create(team=cast.other_team, user=cast.alice, role=Membership.Role.MEMBER)
    theirs = [
        make_checkpoint(cast, team=cast.other_team, owner=cast.mallory, name=name)
        for name in ("One", "Two", "Three")
    ]
    client.force_login(cast.alice)
    answer = client.get(URL, {"ids": str(two[0].pk)})
    assert answer.context["team"] == cast.team
    answer = client.get(URL, {"ids": ids(theirs[:2])})
    assert answer.context["chosen"] == theirs[:2]
    assert answer.context["form"].more == theirs[2:]
    post(client, theirs[:2])
    assert CheckpointImport.objects.get().team == cast.other_team
    # What would be of two teams is of none.
    assert client.get(URL, {"ids": ids([two[0], theirs[0]])}).status_code == 404
    Membership.objects.filter(team=cast.other_team, user=cast.alice).update(
        role=Membership.Role.VIEWER
    )
    assert client.get(URL, {"ids": ids(theirs[:2])}).status_code == 403


@pytest.mark.parametrize(
    "values",
    [
        {"method": "interpolate", "alpha": "0.3"},
        {"method": "interpolate", "take_best": "on", "points": "5", "batches": "7"},
        {"method": "ties", "scale": "0.5", "keep_percent": "30.0"},
    ],
)
def test_a_merge_that_failed_gives_back_all_that_was_typed(
    client: Client, cast: Cast, two: list[Checkpoint], values: dict[str, str]
) -> None:
    client.force_login(cast.alice)
    target, source = make_version(cast, name="Whales"), make_version(cast, name="Plays")
    typed = values | {"name": "Mine", "target": str(target.pk), "source": str(source.pk)}
    if values["method"] == "ties":
        typed["base"] = str(make_checkpoint(cast, name="Base").pk)
    post(client, two, **{"alpha": ""} | typed)
    row = CheckpointImport.objects.get()
    Job.objects.filter(pk=row.job_id).update(state=State.FAILED)
    page = client.get(f"/checkpoints/import/{row.pk}").content.decode()
    link = page.split(f'href="{URL}?')[1].split('"')[0].replace("&amp;", "&")
    answer = client.get(f"{URL}?{link}")
    form = answer.context["form"]
    for name, value in typed.items():
        shown = form[name].value()
        assert (str(shown) if name != "take_best" else "on" * shown) == str(value), name
    assert set(two) <= set(answer.context["chosen"])
    client.force_login(cast.mallory)
    assert client.get(URL, {"from": str(row.pk)}).context["form"]["name"].value() == ""


def test_a_viewer_may_not(client: Client, cast: Cast, two: list[Checkpoint]) -> None:
    client.force_login(cast.vera)
    assert client.get(URL, {"ids": ids(two)}).status_code == 403
    assert post(client, two).status_code == 403


def test_real_work_of_the_engine_becomes_a_checkpoint_with_all_its_parents(
    client: Client, cast: Cast, tmp_path: Path
) -> None:
    tokenizer = Tokenizer.train(["a small text, and another one"], TINY.vocab_size)
    parents = []
    for seed in range(2):
        folder = tmp_path / f"parent-{seed}"
        write_checkpoint(folder, TINY, initial_tensors(TINY.tensors(), seed), tokenizer, {})
        stored = store_checkpoint(folder)
        parents.append(
            make_checkpoint(cast, folder_manifest=stored.folder_manifest, card=stored.card)
        )
    client.force_login(cast.alice)
    post(client, parents, alpha="0.25")
    row = CheckpointImport.objects.get()
    out = tmp_path / "job"
    (out / "inputs").mkdir(parents=True)
    spec = jobs.inputs(row.job, dict(row.job.spec), out / "inputs")
    (out / "spec.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "training", "merge", out / "spec.json", "--out", out]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    collected = jobs.collect(row.job, out)
    with transaction.atomic():
        jobs.finish(row.job, collected)
    row.refresh_from_db()
    merged = row.checkpoint
    assert merged is not None
    assert set(merged.parents.all()) == set(parents)
    assert merged.card["parents"] == [one.weights_sha256 for one in parents]
    page = client.get(f"/checkpoints/{merged.pk}")
    text = page.content.decode()
    assert "Interpolation (WiSE-FT), α = 0.25" in text
    assert page.context["judgement"] is None
    assert len(page.context["lineage"].edges) == 2


def finished(client: Client, two: list[Checkpoint], cast: Cast, **values: Any) -> Checkpoint:
    """A merge that was judged, with the report that the engine would have written."""
    post(client, two, **values)
    row = CheckpointImport.objects.get()
    losses = [(6.0, 4.0), (5.0, 4.2), (5.2, 4.9)]
    alphas = [0, 0.5, 1] if row.job.spec["method"] == "interpolate" else [None] * 3
    places = [None] * 3 if alphas[0] == 0 else [[0], [1], [0, 1]]
    report = {
        "evaluation": {
            "data": [
                {"role": "target", "name": "data-0", "sha256": None},
                {"role": "source", "name": "data-1", "sha256": None},
            ],
            "points": [
                {
                    "alpha": alpha,
                    "models": models,
                    "scores": [{"loss": one}, {"loss": other}],
                }
                for alpha, models, (one, other) in zip(alphas, places, losses, strict=True)
            ],
            "result": 2,
            "best": {"point": 1, "target_loss": 5.0, "source_loss": 4.2, "source_cost": 0.2},
        }
    }
    Job.objects.filter(pk=row.job_id).update(report=report, state=State.SUCCEEDED)
    checkpoint = make_checkpoint(
        cast,
        origin="merged",
        job=row.job,
        parents=two,
        card={"weights_sha256": "ef" * 32, "merge": {"method": row.job.spec["method"]}},
    )
    CheckpointImport.objects.filter(pk=row.pk).update(checkpoint=checkpoint)
    return checkpoint


@pytest.fixture
def judged_by(cast: Cast) -> dict[str, str]:
    target, source = make_version(cast, name="Whales"), make_version(cast, name="News")
    return {"target": str(target.pk), "source": str(source.pk)}


def test_the_page_of_the_result_draws_the_curve_and_gives_its_numbers(
    client: Client, cast: Cast, two: list[Checkpoint], judged_by: dict[str, str]
) -> None:
    client.force_login(cast.alice)
    checkpoint = finished(client, two, cast, **judged_by)
    page = client.get(f"/checkpoints/{checkpoint.pk}")
    text = page.content.decode()
    judged = page.context["judgement"]
    assert judged.columns == [("Target", "Whales"), ("Source", "News")]
    assert [(row.title, row.is_best, row.is_result) for row in judged.rows] == [
        ("0", False, False),
        ("0.5", True, False),
        ("1", False, True),
    ]
    assert judged.sentence == (
        "The lowest loss on the target is 5.000, at α = 0.5. On the source it has 4.200 there, "
        "0.200 above the best parent."
    )
    target, source = json.loads(judged.chart)
    assert target["name"] == "Target: Whales"
    assert target["series"]["validation_loss"] == {"steps": [0, 0.5, 1], "values": [6, 5, 5.2]}
    assert source["dashed"]
    assert "data-chart" in text
    assert "best on the target" in text


def test_what_is_no_interpolation_has_a_table_of_names(
    client: Client, cast: Cast, two: list[Checkpoint], judged_by: dict[str, str]
) -> None:
    client.force_login(cast.alice)
    checkpoint = finished(client, two, cast, method="soup_uniform", **judged_by)
    page = client.get(f"/checkpoints/{checkpoint.pk}")
    assert [row.title for row in page.context["judgement"].rows] == [
        "Brown",
        "Moby",
        "All of them, merged",
    ]
    assert "data-chart" not in page.content.decode()


def test_list_and_page_lead_there(client: Client, cast: Cast, two: list[Checkpoint]) -> None:
    client.force_login(cast.alice)
    assert f'href="{URL}"' in client.get("/checkpoints/").content.decode()
    page = client.get(f"/checkpoints/{two[0].pk}").content.decode()
    assert f'href="{URL}?ids={two[0].pk}"' in page


def test_a_parent_of_the_other_parent_stands_further_left(client: Client, cast: Cast) -> None:
    start = make_checkpoint(cast, name="Start")
    tuned = make_checkpoint(cast, name="Tuned", parents=[start])
    between = make_checkpoint(cast, name="Between", parents=[start, tuned])
    client.force_login(cast.alice)
    graph = client.get(f"/checkpoints/{between.pk}").context["lineage"]
    places = {node.title: node.x for node in graph.nodes}
    assert places["Start"] < places["Tuned"] < places["Between"]
    graph = client.get(f"/checkpoints/{start.pk}").context["lineage"]
    places = {node.title: node.x for node in graph.nodes}
    assert places["Start"] < places["Tuned"] < places["Between"]
