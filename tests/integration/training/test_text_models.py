"""What text backbones can do, whatever their architecture: what PyTorch's numbers do not show."""

import numpy as np
import pytest
import tensorflow as tf

from tests.integration.training.tiny import curve, finish, start, tiny_spec
from tests.parity.fixtures import weights
from tests.parity.text import CASES, inputs, word_pieces
from training.backbones.gpt3.config import PRESETS as GPT3_PRESETS
from training.backbones.registry import BACKBONES, model_class
from training.command_specs import GenerateSpec
from training.engine.generate import Generator
from training.engine.serve import open_generator
from training.errors import TrainingError
from training.evaluation.sentence_embeddings import sentence_embeddings
from training.interop.huggingface import export
from training.weights.checkpoint import read_checkpoint, write_checkpoint
from training.weights.initial import initial_tensors

#: One case of each architecture and head.
ONE_OF_EACH = [
    "bert-pooler",
    "bert-masked-lm",
    "bert-pretraining",
    "bert-classification",
    "distilbert-masked-lm",
    "distilbert-classification",
    "roberta-masked-lm",
    "roberta-classification",
    "opt-projected",
    "opt-no-affine",
    "gpt3-banded",
]


def built(config, **options):
    model = model_class(config.architecture)(config, **options)
    model.load_named(weights(config, "float32"))
    return model


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_step_down_the_gradient_lowers_the_loss_and_reaches_every_part(name):
    config = CASES[name]
    model, given = built(config), inputs(config)
    model.load_named(initial_tensors(config.tensors(), seed=0))
    names = model.trainable_names()
    variables = [model.named_variables[key].value for key in names]

    def loss():
        given_out = model(**given)
        # Something that every value of the output has a part in.
        wanted = np.cos(np.arange(np.prod(given_out.shape))).reshape(given_out.shape)
        return tf.reduce_mean(tf.square(given_out - wanted.astype(np.float32)))

    with tf.GradientTape() as tape:
        tape.watch(variables)
        before = loss()
    gradients = dict(zip(names, tape.gradient(before, variables), strict=True))

    unreached = {key for key, gradient in gradients.items() if gradient is None}
    if name == "bert-pooler":
        # Hidden states are read before it.
        assert unreached == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
    elif name == "bert-pretraining":
        assert {key.split(".")[1] for key in unreached} == {"pooler", "seq_relationship"}
    else:
        assert not unreached
    for key, gradient in gradients.items():
        if gradient is not None:
            model.named_variables[key].assign_sub(0.05 * gradient)
    assert loss() < before


@pytest.mark.parametrize("name", ["bert-masked-lm", "roberta-pooler", "opt-plain", "gpt3-banded"])
def test_bfloat16_is_close_and_dropout_follows_its_seed(name):
    config = CASES[name]
    given = inputs(config)
    tensors = initial_tensors(config.tensors(), seed=0)
    exact, rounded, dropping = (
        model_class(config.architecture)(config, **options)
        for options in ({}, {"compute_dtype": "bfloat16"}, {"dropout": 0.3})
    )
    for model in (exact, rounded, dropping):
        model.load_named(tensors)

    def probabilities(model):
        return tf.nn.softmax(model(**given)).numpy()

    assert 0 < np.abs(probabilities(rounded) - probabilities(exact)).max() < 0.02
    one, same, other = (
        dropping(**given, training=True, seed=tf.constant(seed)).numpy()
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)
    assert np.array_equal(dropping(**given).numpy(), exact(**given).numpy())


@pytest.mark.parametrize(
    "name", ["opt-plain", "opt-projected", "opt-projected-norm-first", "gpt3-banded"]
)
def test_token_after_token_gives_the_logits_of_the_whole_text(name):
    config = CASES[name]
    model, tokens = built(config), inputs(config)["tokens"]
    whole = model(tokens).numpy()

    cache = model.new_cache(16, batch=2)
    found = [model.extend(tf.constant(tokens[:, :5]), 0, 4, cache).numpy()]
    found += [
        model.extend(tf.constant(tokens[:, at : at + 1]), at, 0, cache).numpy()
        for at in range(5, tokens.shape[1])
    ]

    assert np.abs(np.stack(found, 1) - whole[:, 4:]).max() < 1e-4


@pytest.mark.parametrize("name", ["opt-plain", "gpt3-banded", "gpt3-itself-only"])
def test_a_token_sees_nothing_of_what_follows_and_a_band_nothing_of_long_ago(name):
    config = CASES[name]
    model, tokens = built(config), inputs(config)["tokens"].copy()
    before = model(tokens).numpy()
    tokens[:, 6] = tokens[:, 6] % 50 + 2
    changed = np.abs(model(tokens).numpy() - before).max((0, 2)) > 1e-6
    assert not changed[:6].any()
    assert changed[6]
    if name.startswith("gpt3"):
        # Every other layer is dense, so that the outputs tell nothing of the band.
        places = np.arange(tokens.shape[1])
        far = places[:, None] - places[None, :]
        assert config.window < far.max()
        dense, banded = (mask.numpy() == 0 for mask in model.masks(*[tf.constant(places)] * 2)[:2])
        assert np.array_equal(dense, far >= 0)
        assert np.array_equal(banded, (far >= 0) & (far < config.window))


def test_padding_and_its_tokens_leave_the_real_ones_alone():
    config = CASES["bert-pooler"]
    model, given = built(config), inputs(config)
    before = model(**given).numpy()
    other = given["tokens"].copy()
    other[given["attention_mask"] == 0] = 7
    assert np.array_equal(
        model(**(given | {"tokens": other})).numpy()[given["attention_mask"] == 1],
        before[given["attention_mask"] == 1],
    )
    alone = {key: value[1:, :8] for key, value in given.items()}
    assert np.abs(model(**alone).numpy() - before[1:, :8]).max() < 1e-4


def test_a_sentence_has_the_same_vector_alone_and_in_a_batch():
    tokenizer = word_pieces(lowercase=True)
    config = CASES["bert-pooler"].model_copy(update={"vocab_size": tokenizer.size})
    model = built(config)
    texts = ["a whale", "", "two spaces and a new paragraph of code that is far too long", "café"]

    together = sentence_embeddings(model, tokenizer, texts, batch_size=3)

    for text, vector in zip(texts, together, strict=True):
        alone = sentence_embeddings(model, tokenizer, [text])[0]
        assert alone @ vector > 0.999999
        assert abs(np.linalg.norm(vector) - 1) < 1e-6
    assert sentence_embeddings(model, tokenizer, []).shape == (0, 24)


@pytest.mark.parametrize("name", ["bert-masked-lm", "distilbert-classification", "roberta-pooler"])
def test_an_encoder_is_told_that_it_writes_no_text(name, tmp_path):
    config = CASES[name]
    write_checkpoint(tmp_path / "c", config, weights(config, "float32"), None, {})
    with pytest.raises(TrainingError) as caught:
        open_generator(tmp_path / "c")
    assert caught.value.code == "architecture_not_writing"


def test_opt_writes_text_from_a_checkpoint(tmp_path):
    from tests.parity.ours import import_folder
    from tests.parity.text import FOLDERS

    checkpoint = import_folder(FOLDERS / "opt", tmp_path / "out")
    generator = open_generator(checkpoint.folder)

    text = generator.complete(
        GenerateSpec(checkpoint="", prompt="the whale", max_tokens=5, temperature=0)
    )

    # The same by hand: the text begins with the token that ends one.
    tokenizer, model = generator.tokenizer, generator.model
    ids = [tokenizer.end_of_text, *tokenizer.encode("the whale")]
    first = len(ids)
    for _ in range(5):
        ids.append(int(model(np.array([ids], np.int32)).numpy()[0, -1, : tokenizer.size].argmax()))
        if ids[-1] == tokenizer.end_of_text:
            ids.pop()
            break
    assert text == tokenizer.decode(ids[first:])


@pytest.mark.slow
def test_a_gpt3_trains_keeps_its_window_and_writes(tiny_dataset, tmp_path):
    model = {
        "architecture": "gpt3",
        "vocab_size": 300,
        "n_positions": 32,
        "n_embd": 16,
        "n_layer": 2,
        "n_head": 2,
        "window": 4,
    }
    spec = tiny_spec(tiny_dataset, evaluation={"sample_every": 12})
    code, errors = finish(start(spec | {"model": model}, tmp_path / "run"))
    assert code == 0, errors
    values = curve(tmp_path / "run")
    assert values["loss", 12] < values["loss", 1]
    checkpoint = read_checkpoint(tmp_path / "run" / "checkpoint", verify=True)
    assert (checkpoint.config.architecture, checkpoint.config.window) == ("gpt3", 4)
    assert isinstance(open_generator(checkpoint.folder), Generator)


@pytest.mark.parametrize(("window", "written"), [(None, "gpt2"), (16, "gpt2"), (15, "gpt3")])
def test_only_a_gpt3_that_is_dense_throughout_leaves_as_a_gpt2(window, written, tmp_path):
    config = CASES["gpt3-dense"].model_copy(update={"window": window})
    write_checkpoint(tmp_path / "c", config, weights(config, "float32"), None, {})
    checkpoint = read_checkpoint(tmp_path / "c")
    assert checkpoint.config == config

    export(checkpoint, tmp_path / "exported")

    exported = (tmp_path / "exported" / "config.json").read_text()
    assert f'"model_type": "{written}"' in exported
    assert ("window" in exported) == (written == "gpt3")


#: Brown et al. 2020, table 2.1, in millions.
TABLE = {
    "gpt3-small": 125,
    "gpt3-medium": 350,
    "gpt3-large": 760,
    "gpt3-xl": 1_300,
    "gpt3-2.7b": 2_700,
    "gpt3-6.7b": 6_700,
    "gpt3-13b": 13_000,
    "gpt3-175b": 175_000,
}


def test_gpt3s_presets_have_the_papers_numbers_of_parameters():
    assert TABLE.keys() == GPT3_PRESETS.keys() - {"nano"}
    for name, millions in TABLE.items():
        config = GPT3_PRESETS[name]
        assert config.n_positions == 2048
        assert config.parameter_count() == pytest.approx(millions * 1e6, rel=0.02), name


@pytest.mark.parametrize(
    ("architecture", "preset", "parameters"),
    [
        ("bert", "bert-base", 109_482_240),
        ("bert", "bert-large", 335_141_888),
        ("bert", "minilm-l6", 22_713_216),
        ("distilbert", "distilbert-base", 66_362_880),
        ("roberta", "roberta-base", 124_645_632),
        ("roberta", "roberta-large", 355_359_744),
        ("opt", "opt-125m", 125_239_296),
        ("opt", "opt-350m", 331_196_416),
    ],
)
def test_presets_have_the_published_numbers_of_parameters(architecture, preset, parameters):
    assert BACKBONES[architecture].presets[preset].parameter_count() == parameters
