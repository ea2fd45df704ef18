"""Time from past runs, memory and devices of the hosts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psutil
import pytest
from django.utils import timezone

from tests.factories import Cast, make_version
from tests.factories.runs import make_run, make_source, make_spec
from training.backbones.gpt2.config import PRESETS
from training.estimate import estimate
from webapp.jobs.models import State, Worker
from webapp.runs.drafts import draft
from webapp.runs.estimates import hosts, measured_speed, memory_available, outlook
from webapp.runs.form_causal_lm import CausalLMForm


def make_worker(name: str, **fields: Any) -> Worker:
    now = timezone.now()
    values: dict[str, Any] = {"host": name, "pid": 1, "queues": ["cpu"], "processors": 2}
    values |= {"memory_bytes": 8 * 2**30, "started_at": now, "seen_at": now}
    return Worker.objects.create(name=name, **values | fields)


def test_nothing_is_measured_before_the_first_run(cast: Cast) -> None:
    spec = make_spec(make_version(cast))
    assert measured_speed(spec, PRESETS["nano"], cast.team) is None
    assert not outlook(spec, PRESETS["nano"], cast.team).measured


def test_the_time_follows_from_the_past_run_nearest_in_size(cast: Cast) -> None:
    version = make_version(cast)
    for preset, seconds in (("nano", 100.0), ("gpt2", 7.0)):
        config = PRESETS[preset]
        spec = {"model": config, "tokenizer": {"kind": "gpt2"}}
        run = make_run(cast, version=version, spec=spec, state=State.SUCCEEDED)
        run.job.report = {"duration_s": seconds}
        run.job.save()
        run.checkpoint = make_source(cast, config=config)
        run.save()
    again = make_spec(version)
    found = outlook(again, PRESETS["nano"], cast.team)
    assert found.measured
    assert found.estimate.seconds == pytest.approx(100, rel=0.01)


def test_another_teams_runs_tell_nothing(cast: Cast) -> None:
    run = make_run(cast, state=State.SUCCEEDED, job={"report": {"duration_s": 10}})
    run.checkpoint = make_source(cast)
    run.save()
    spec = make_spec(run.dataset_version)
    assert measured_speed(spec, PRESETS["nano"], cast.other_team) is None


def test_memory_is_that_of_the_largest_living_host(db: None) -> None:
    assert memory_available() == psutil.virtual_memory().total
    make_worker("small")
    make_worker("large", memory_bytes=64 * 2**30)
    make_worker("gone", memory_bytes=2**50, seen_at=timezone.now() - timedelta(days=1))
    assert memory_available() == 64 * 2**30


def test_hosts_show_what_their_workers_have(db: None) -> None:
    card = {"index": 0, "name": "Card", "memory_bytes": 2**34}
    make_worker("w1", host="gpu-tower-b7639e41-4026531836", queues=["gpu"], gpus=[card])
    make_worker("w2", host="gpu-tower-b7639e41-4026531836", queues=["cpu", "io"])
    make_worker("w3", host="store-0a7d5e21-4026531836", queues=["io"])
    (tower,) = hosts()
    assert (tower.name, tower.queues, tower.gpus) == ("gpu-tower", ["cpu", "gpu"], [card])


def test_more_cards_than_any_host_has_are_refused(cast: Cast) -> None:
    make_worker("tower", queues=["gpu"], gpus=[{"index": 0, "name": "C", "memory_bytes": 1}])
    values = {"data": str(make_version(cast).pk), "devices.kind": "gpu", "devices.count": "2"}
    checked = draft(CausalLMForm(values, cast.team, submitted=True))
    assert "the largest has 1" in checked.form.errors["devices.count"][0]


def test_the_estimate_is_the_engines(cast: Cast) -> None:
    spec = make_spec(make_version(cast))
    found = outlook(spec, PRESETS["nano"], cast.team)
    assert found.estimate.memory == estimate(spec, PRESETS["nano"]).memory
