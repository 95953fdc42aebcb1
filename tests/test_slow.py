"""What takes minutes: `make test-slow`."""

import json

import drawn
import pytest

from configs import ck_mresnet, demo
from surrojax.experiment import train


@pytest.mark.slow
def test_lenet_over_fits_the_drawn_faces_and_tuning_helps(tmp_path):
    config = demo.get_config()
    tuned = train(config, tmp_path / "tuned", quiet=True)
    config.tune = ()
    untuned = train(config, tmp_path / "untuned", quiet=True)
    assert untuned["train_accuracy"] - untuned["test_accuracy"] > 0.1
    assert tuned["test_accuracy"] > untuned["test_accuracy"]


@pytest.mark.slow
def test_resnet20_is_tuned_extended_and_resumed(tmp_path):
    """Four hyper-parameters, no x and W, and batch statistics in the checkpoint."""
    config = demo.get_config()
    config.network, config.batch_size, config.iterations_per_round = "resnet20", 8, 2
    config.max_iterations = 2
    train(config, tmp_path, quiet=True)
    config.max_iterations = 4
    result = train(config, tmp_path, quiet=True)
    assert set(result["hyper"]) == {"lambda_z", "lambda_V", "p_z", "p_V"}
    assert result["rounds"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_mresnet_is_tuned_on_ck_and_taken_up_by_another_fold(
    dtype, tmp_path, monkeypatch
):
    """At its least size; in all else as configs/ck_mresnet.py says."""
    monkeypatch.setenv("SURROJAX_CACHE", str(tmp_path / "cache"))
    config = ck_mresnet.get_config()
    config.dataset.dir = str(drawn.ck(tmp_path / "ck"))
    config.dataset.align = False
    config.dataset.image_size, config.dataset.fold = 99, 0
    config.compute_dtype = dtype
    config.batch_size, config.iterations_per_round, config.max_iterations = 4, 2, 4
    result = train(config, tmp_path / "first", quiet=True)
    assert len(result["hyper"]) == 8 and result["rounds"] == 2
    config.dataset.fold = 1
    config.init_from = str(tmp_path / "first")
    train(config, tmp_path / "second", quiet=True)
    description = json.loads((tmp_path / "second/config.json").read_text())
    begun = description["data"]["init_from"]
    assert len(begun["loaded"]) == 5 + 22 + 2 and begun["fresh"] == []
    assert description["multiply_accumulates"]["original"] == 308_616_192
