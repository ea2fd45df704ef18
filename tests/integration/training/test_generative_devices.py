"""On two devices a step is the one that a single device takes, accumulated batches and all."""

import json
import os
import subprocess
import sys

import pytest

from tests.integration.training.labelled import image_dataset

Folders = pytest.TempPathFactory


@pytest.fixture(scope="module")
def differences(tmp_path_factory: Folders) -> dict[str, dict[str, float]]:
    folder = tmp_path_factory.mktemp("devices")
    dataset = image_dataset(folder / "d", {"red": 20, "green": 20})
    module = "tests.integration.training.generative_on_two_devices"
    done = subprocess.run(
        [sys.executable, "-m", module, dataset, folder],
        env={**os.environ, "GRAFT_VIRTUAL_CPUS": "2"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cvae", "cgan"])
def test_two_devices_take_the_step_that_one_takes(
    method: str, differences: dict[str, dict[str, float]]
) -> None:
    found = differences[method]
    assert found["loss"] < 1e-5
    assert found["gradient"] < 1e-4


@pytest.mark.slow
def test_the_average_and_the_spectral_vectors_are_the_same_too(
    differences: dict[str, dict[str, float]],
) -> None:
    found = differences["cgan"]
    assert found["average"] < 1e-5
    assert found["discriminator.u"] < 1e-4
