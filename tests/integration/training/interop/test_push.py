"""A checkpoint sent to a stand-in of the Hub, which keeps what arrives byte for byte."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.parity.hub_standin import COMMIT, HubStandin
from tests.small import SMALL, TOKENIZER
from training.command_specs import AboutSpec, ImportSpec, PushSpec
from training.errors import TrainingError
from training.events import EventLog
from training.interop import importing, model_card, pushing
from training.weights.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from training.weights.initial import initial_tensors

TOKEN = "hf_only-for-this-test"
ABOUT = AboutSpec(name="Whales", base_model="openai-community/gpt2", licence="MIT")
CARD = {
    "method": "causal_lm",
    "made_by": {"code_version": "0.1.0+x", "seed": 3},
    "parents": ["a" * 64],
    "data": {"sha256": "d" * 64, "name": "Moby Dick"},
    "scores": {"validation_loss": 3.25, "validation_perplexity": 25.79, "note": "x"},
    "steps": 400,
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    tensors = initial_tensors(SMALL.tensors(), 1)
    write_checkpoint(tmp_path / "checkpoint", SMALL, tensors, TOKENIZER, CARD)
    return read_checkpoint(tmp_path / "checkpoint")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubStandin]:
    (tmp_path / "hub").mkdir()
    with HubStandin({}, accepts=tmp_path / "hub", token=TOKEN) as hub:
        yield hub


def push(
    checkpoint: Checkpoint,
    hub: HubStandin,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    token: str = TOKEN,
    **fields: Any,
) -> dict[str, str]:
    out.mkdir(exist_ok=True)
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    else:
        monkeypatch.delenv("HF_TOKEN", raising=False)
    values = {
        "checkpoint": str(checkpoint.folder),
        "repository": "alice/whales",
        "endpoint": hub.url,
        "about": ABOUT,
    }
    log = EventLog(out / "events.jsonl")
    try:
        return pushing.run(PushSpec(**(values | fields)), out, log)
    finally:
        log.close()


def test_every_byte_arrives_in_one_commit_and_comes_back(
    checkpoint: Checkpoint, hub: HubStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = push(checkpoint, hub, tmp_path / "out", monkeypatch)

    assert done["result"] == f"{hub.url}/alice/whales"
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["pushed"]["commit"] == COMMIT
    there = hub.models["alice/whales"]
    sent = {path.name: path.read_bytes() for path in there.iterdir()}
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        assert sent[name] == (checkpoint.folder / name).read_bytes()
    assert sent["README.md"].decode() == model_card.readme(checkpoint, ABOUT)
    assert "card.json" not in sent
    assert (len(hub.commits), hub.made) == (1, {"alice/whales": True})
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"events.jsonl", "report.json"}

    # Sent again, nothing large goes over the wire, and the repository is not made anew.
    before = [request.method for request in hub.requests].count("PUT")
    push(checkpoint, hub, tmp_path / "again", monkeypatch)
    assert [request.method for request in hub.requests].count("PUT") == before == 1

    (tmp_path / "back").mkdir()
    log = EventLog(tmp_path / "back/events.jsonl")
    spec = ImportSpec(kind="hub", repository="alice/whales", endpoint=hub.url)
    importing.run(spec, tmp_path / "back", log)
    log.close()
    assert read_checkpoint(tmp_path / "back/checkpoint").weights_sha256 == checkpoint.weights_sha256


def test_the_token_goes_to_the_hub_alone_and_is_written_nowhere(
    checkpoint: Checkpoint, hub: HubStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(checkpoint, hub, tmp_path / "out", monkeypatch)
    assert "HF_TOKEN" not in os.environ
    for request in hub.requests:
        # Large files go to another host, as the real Hub's do.
        elsewhere = request.method == "PUT"
        assert request.authorization == (None if elsewhere else f"Bearer {TOKEN}")
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"token": ""}, "hub_token_missing", "token"),
        ({"token": "hf_wrong"}, "hub_token_refused", "token"),
        ({"repository": "a/b/c"}, "hub_name_invalid", "repository"),
        ({"endpoint": "ftp://x"}, "hub_endpoint_invalid", "endpoint"),
        ({"endpoint": "http://127.0.0.1:9"}, "hub_unreachable", "endpoint"),
        ({"endpoint": "http://localhost:9"}, "hub_unreachable", "endpoint"),
        ({"endpoint": "http://mirror.example"}, "hub_plain_http", "endpoint"),
        ({"endpoint": "http://127.0.0.1.mirror.example"}, "hub_plain_http", "endpoint"),
        ({"endpoint": "http://localhost@mirror.example"}, "hub_plain_http", "endpoint"),
    ],
)
def test_what_is_wrong_is_said(
    changes: dict[str, str],
    code: str,
    field: str,
    checkpoint: Checkpoint,
    hub: HubStandin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(TrainingError) as refused:
        push(checkpoint, hub, tmp_path / "out", monkeypatch, **changes)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert "hf_" not in str(refused.value)
    assert not hub.commits
    # The copy of the weights goes with the attempt.
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["events.jsonl"]


def test_what_did_not_arrive_whole_is_noticed(
    checkpoint: Checkpoint, hub: HubStandin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.damage.add("config.json")
    with pytest.raises(TrainingError) as refused:
        push(checkpoint, hub, tmp_path / "out", monkeypatch)
    assert refused.value.code == "hub_arrived_damaged"
    assert refused.value.params["file"] == "config.json"


def test_the_card_says_what_is_known_and_guesses_nothing(checkpoint: Checkpoint) -> None:
    text = model_card.readme(checkpoint, ABOUT)
    _, header, body = text.split("---\n", 2)
    assert yaml.safe_load(header) == {
        "library_name": "transformers",
        "license": "mit",
        "base_model": "openai-community/gpt2",
        "pipeline_tag": "text-generation",
        "tags": ["graft", "gpt2"],
        "metrics": ["loss", "perplexity"],
        "model-index": [
            {
                "name": "Whales",
                "results": [
                    {
                        "task": {"type": "text-generation"},
                        "dataset": {"name": "Moby Dick", "type": "Moby Dick"},
                        "metrics": [
                            {"type": "loss", "name": "validation loss", "value": 3.25},
                            {"type": "perplexity", "name": "validation perplexity", "value": 25.79},
                        ],
                    }
                ],
            }
        ],
    }
    for words in (
        "# Whales\n",
        f"{SMALL.parameter_count():,} parameters",
        "- Steps: 400\n",
        "| validation loss | 3.25 |",
        "GPT2LMHeadModel.from_pretrained",
        checkpoint.weights_sha256,
        "a" * 64,
        "d" * 64,
    ):
        assert words in body
    told = ABOUT.model_copy(update={"data": "The whale,\n# all of it"})
    header, body = model_card.readme(checkpoint, told).split("---\n", 2)[1:]
    (named,) = yaml.safe_load(header)["model-index"]
    assert named["results"][0]["dataset"]["name"] == "The whale, # all of it"
    assert "- Data: The whale, # all of it\n" in body
    bare = yaml.safe_load(model_card.readme(checkpoint, AboutSpec()).split("---\n")[1])
    assert not {"license", "base_model"} & set(bare)


def test_a_name_cannot_write_metadata_or_headings(checkpoint: Checkpoint) -> None:
    about = AboutSpec(name="x\n---\nlicense: mit\n# Other", licence="a: b")
    _, header, body = model_card.readme(checkpoint, about).split("---\n", 2)
    assert "license" not in yaml.safe_load(header)
    assert [line for line in body.splitlines() if line.startswith("# ")] == [
        "# x --- license: mit # Other"
    ]
