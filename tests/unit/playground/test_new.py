import re
import uuid
from typing import Any

import pytest
from django.test import Client

from tests.factories import Cast
from tests.factories.checkpoints import make_checkpoint
from tests.factories.playground import make_generation
from training.command_specs import GenerateSpec
from webapp.accounts.models import AuditEvent
from webapp.playground.models import Generation

URL = "/playground/"


def _typed(**fields: Any) -> dict[str, Any]:
    return {
        "beside": "",
        "prompt": "Call me",
        "max_tokens": 16,
        "temperature": 0.8,
        "top_k": 0,
        "top_p": 0.95,
        "seed": 3,
        "stop": "",
    } | fields


def test_without_a_checkpoint_it_says_what_to_do(client: Client, cast: Cast) -> None:
    client.force_login(cast.alice)
    page = client.get(URL).content.decode()
    assert "No language model yet" in page
    assert "<textarea" not in page


def test_titles_help_and_ranges_are_the_spec_s(client: Client, cast: Cast) -> None:
    make_checkpoint(cast)
    client.force_login(cast.alice)
    page = client.get(URL).content.decode()
    for name in ("temperature", "top_k", "top_p", "max_tokens", "seed"):
        info = GenerateSpec.model_fields[name]
        assert info.title is not None
        assert info.title in page
        assert info.description is not None
        assert info.description in page
        field = re.search(rf'<input[^>]+name="{name}"[^>]*>', page)
        assert field is not None
        assert f'value="{info.default}"' in field[0]
    assert re.search(r'name="temperature"[^>]*max="5"', page)


def test_one_checkpoint_becomes_one_job(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.bob)
    prompt = "Two\r\nlines "
    answer = client.post(URL, _typed(checkpoint=checkpoint.pk, prompt=prompt, stop="END\r\n\r\n。"))
    row = Generation.objects.get()
    assert answer["Location"] == f"/playground/{row.group}"
    assert (row.job.kind, row.job.queue, row.owner) == ("generate", "interactive", cast.bob)
    spec = GenerateSpec.model_validate(row.job.spec)
    assert spec.checkpoint == f"store:checkpoint/{checkpoint.pk}"
    assert (spec.prompt, spec.stop, spec.seed) == ("Two\nlines ", ["END", "。"], 3)
    assert AuditEvent.objects.filter(action="generation.create").count() == 1


def test_two_side_by_side_share_a_group(client: Client, cast: Cast) -> None:
    first, second = make_checkpoint(cast), make_checkpoint(cast)
    client.force_login(cast.alice)
    client.post(URL, _typed(checkpoint=first.pk, beside=second.pk))
    rows = Generation.objects.order_by("created_at")
    assert [row.checkpoint for row in rows] == [first, second]
    assert len({row.group for row in rows}) == 1
    assert rows[0].settings == rows[1].settings


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5000}, "max_tokens"),
        ({"seed": 2**31}, "seed"),
        ({"stop": "\n".join("abcdefghi")}, "stop"),
        ({"stop": "x" * 201}, "stop"),
        ({"prompt": "x" * 100_001}, "prompt"),
        ({"checkpoint": str(uuid.uuid4())}, "checkpoint"),
        ({"checkpoint": ""}, "checkpoint"),
    ],
)
def test_what_is_wrong_is_said_at_the_field_and_stays(
    client: Client, cast: Cast, typed: dict[str, Any], field: str
) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    answer = client.post(URL, _typed(checkpoint=checkpoint.pk) | typed)
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {field}
    assert "Call me" in answer.content.decode() or "prompt" in typed
    assert not Generation.objects.exists()


def test_the_same_checkpoint_twice_is_refused(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.alice)
    answer = client.post(URL, _typed(checkpoint=checkpoint.pk, beside=checkpoint.pk))
    assert answer.context["form"].errors.keys() == {"beside"}


def test_another_team_s_checkpoint_cannot_be_asked(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    make_checkpoint(cast, team=cast.other_team, owner=cast.mallory)
    client.force_login(cast.mallory)
    assert client.post(URL, _typed(checkpoint=checkpoint.pk)).status_code == 422


def test_a_viewer_reads_and_does_not_ask(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    client.force_login(cast.vera)
    assert "<textarea" not in client.get(URL).content.decode()
    assert client.post(URL, _typed(checkpoint=checkpoint.pk)).status_code == 403


def test_it_opens_on_a_chosen_checkpoint_or_an_earlier_request(client: Client, cast: Cast) -> None:
    checkpoint = make_checkpoint(cast)
    make_checkpoint(cast)
    row = make_generation(
        cast, checkpoint=checkpoint, settings={"prompt": "Earlier", "stop": ["a", "b"], "seed": 99}
    )
    client.force_login(cast.alice)
    page = client.get(URL, {"checkpoint": checkpoint.pk}).content.decode()
    assert f'<option value="{checkpoint.pk}" selected>' in page
    form = client.get(URL, {"from": row.group}).context["form"]
    assert form["prompt"].value() == "Earlier"
    assert form["stop"].value() == "a\nb"
    assert form["seed"].value() == 99
    assert client.get(URL, {"from": uuid.uuid4()}).status_code == 404
    assert client.get(URL, {"from": "?", "checkpoint": "?", "before": "?"}).status_code == 200


def test_history_is_the_team_s_and_costs_the_same(
    client: Client, cast: Cast, django_assert_num_queries: Any
) -> None:
    make_generation(cast, settings={"prompt": "First words"})
    client.force_login(cast.vera)
    assert "First words" in client.get(URL).content.decode()
    with django_assert_num_queries(8):
        client.get(URL)
    for _ in range(20):
        make_generation(cast)
    with django_assert_num_queries(8):
        page = client.get(URL).content.decode()
    older = re.search(r'\?before=[^"#]+', page)
    assert older is not None
    assert "First words" in client.get(URL + older[0].replace("&amp;", "&")).content.decode()
    client.force_login(cast.mallory)
    assert "First words" not in client.get(URL).content.decode()


# --- labels ---------------------------------------------------------------------------------------


def test_labels_are_offered_for_a_checkpoint_that_knows_some(client: Client, cast: Cast) -> None:
    plain = make_checkpoint(cast)
    knows = make_checkpoint(cast, control=["news", "verse"])
    client.force_login(cast.alice)
    page = client.get(f"{URL}?checkpoint={knows.pk}").content.decode()
    assert re.search(r'<select[^>]+name="label"', page)
    for name in ("news", "verse", "without a label"):
        assert f">{name}</option>" in page
    page = client.get(f"{URL}?checkpoint={plain.pk}").content.decode()
    assert 'name="label"' not in page
    assert 'id="label-choice"' in page  # where they come to stand when another is chosen


def test_a_label_goes_to_those_that_know_it(client: Client, cast: Cast) -> None:
    plain = make_checkpoint(cast)
    knows = make_checkpoint(cast, control=["news", "verse"])
    client.force_login(cast.alice)
    typed = _typed(checkpoint=knows.pk, beside=plain.pk, label="verse", prompt="")
    answer = client.post(URL, typed)
    labels = {row.checkpoint_id: row.job.spec["label"] for row in Generation.objects.all()}
    assert labels == {knows.pk: "verse", plain.pk: ""}
    page = client.get(answer["Location"]).content.decode()
    assert "<dt>Label</dt><dd>verse</dd>" in page
    assert page.count('<small class="soft">without a label</small>') == 1
    client.post(f"{answer['Location']}/again")
    assert Generation.objects.filter(settings__label="verse").count() == 2
    assert '<span class="tag">verse</span>' in client.get(URL).content.decode()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (["news"], "The checkpoint knows no label “verse”. It knows: news."),
        ([], "This checkpoint was not trained with labels"),
    ],
)
def test_a_label_that_the_checkpoint_does_not_know_is_refused(
    known: list[str], said: str, client: Client, cast: Cast
) -> None:
    checkpoint = make_checkpoint(cast, control=known)
    client.force_login(cast.alice)
    answer = client.post(URL, _typed(checkpoint=checkpoint.pk, label="verse"))
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert not Generation.objects.exists()
