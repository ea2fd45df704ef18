"""What the portal says of each method that runs train: its words, scores and splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Words = str | Promise


@dataclass(frozen=True)
class Score:
    """One score of a report.

    Attributes:
        key: In the report.
        title: For people.
        places: After the point.
        rising: Whether a larger one is better; None: neither is.
    """

    key: str
    title: Words
    places: int
    rising: bool | None = False


@dataclass(frozen=True)
class Shown:
    """One method, for people.

    Attributes:
        name: Within a sentence.
        invitation: What one comes for.
        about: One sentence of it.
        from_scratch: What a run without a source does.
        no_data: What there is none of, while there is none.
        get_data: How to get some.
        per_second: What one reads of its speed.
        seen: What one reads of all that a run has seen.
        planned: The same before it starts, where that is counted in something else.
        splits: What the splits are called.
        scores: In the order of the report.
        measured: How they are measured.
        curves: What a chart offers, each one or several metrics, separated by commas.
        watched: What a run's page shows of the newest look, keys as metrics; none: the best
            validation loss.
        pictures: Whether its samples are pictures, a row of them for each class, some to be heard.
    """

    name: Words
    invitation: Words
    about: Words
    from_scratch: Words
    no_data: Words
    get_data: Words
    per_second: Words
    seen: Words
    splits: Mapping[str, Words]
    scores: tuple[Score, ...]
    measured: Words
    curves: tuple[str, ...] = (
        "loss,validation_loss",
        "validation_accuracy",
        "learning_rate",
        "gradient_norm",
    )
    watched: tuple[Score, ...] = ()
    pictures: bool = False
    planned: Words = ""


def _siamese(name: str, invitation: Words, about: Words) -> Shown:
    """A method that learns from two views of unlabelled images."""
    return Shown(
        name=name,
        invitation=invitation,
        about=about,
        from_scratch=_(
            "Random weights; the network learns from your images alone, and is a source afterwards."
        ),
        no_data=_("There are no images yet; they need no labels."),
        get_data=_("Upload some"),
        per_second=_("Images per second"),
        seen=_("Images seen"),
        splits={"validation": _("validation split"), "test": _("test split")},
        scores=(
            Score("knn", _("nearest neighbours, accuracy"), 3, rising=True),
            Score("probe", _("linear probe, accuracy"), 3, rising=True),
            Score("spread", _("spread of the projections"), 3, rising=True),
            Score("dimensions", _("dimensions of the projections"), 1, rising=True),
            Score("loss", _("loss of two views"), 3),
        ),
        measured=_(
            "Training sees no label. Where there are labels, nearest neighbours and a linear probe "
            "on the features of the training split tell what the features are good for. Spread: 1 "
            "where projections point in all directions, 0 where all are the same. Dimensions: in "
            "how many directions they vary. Before: the weights as the run began. After: the last "
            "ones."
        ),
        curves=(
            "validation_knn,validation_probe",
            "loss,validation_views_loss",
            "validation_spread",
            "validation_dimensions",
            "learning_rate",
            "gradient_norm",
        ),
        watched=(
            Score("validation_knn", _("Nearest neighbours"), 3, rising=True),
            Score("validation_probe", _("Linear probe"), 3, rising=True),
            Score("validation_spread", _("Spread"), 3, rising=True),
            Score("validation_dimensions", _("Dimensions"), 1, rising=True),
        ),
    )


_JUDGED = (
    Score("class_accuracy", _("of the class that was meant"), 3, rising=True),
    Score("frechet", _("distance from real ones (Fréchet)"), 1),
)


def _generative(
    name: Words,
    invitation: Words,
    about: Words,
    scores: tuple[Score, ...],
    measured: Words,
    curves: tuple[str, ...],
) -> Shown:
    """A method that makes images or sounds of classes."""
    return Shown(
        name=name,
        invitation=invitation,
        about=about,
        from_scratch=_(
            "Random weights; the model learns everything from your images or sounds, and can be a "
            "source afterwards."
        ),
        no_data=_("There are no images or sounds with labels yet: a folder for each class."),
        get_data=_("Upload some"),
        per_second=_("Examples per second"),
        seen=_("Examples seen"),
        splits={"validation": _("validation split"), "test": _("test split")},
        scores=(*_JUDGED, *scores),
        measured=measured,
        curves=(
            "validation_frechet",
            "validation_class_accuracy",
            *curves,
            "learning_rate",
            "gradient_norm",
        ),
        watched=(
            Score("validation_class_accuracy", _("Of the class that was meant"), 3, rising=True),
            Score("validation_frechet", _("Distance from real ones"), 1),
        ),
        pictures=True,
    )


METHODS: dict[str, Shown] = {
    "causal_lm": Shown(
        name=_("causal language modelling"),
        invitation=_("To write: a language model"),
        about=_("Predicts each token of plain text from those before it."),
        from_scratch=_("Random weights; the model learns everything from your text."),
        no_data=_("There is no data yet."),
        get_data=_("Upload a text or load the samples"),
        per_second=_("Tokens per second"),
        seen=_("Tokens seen"),
        splits={"validation": _("validation text"), "test": _("test text")},
        scores=(
            Score("loss", _("loss per token"), 3),
            Score("perplexity", _("perplexity"), 1),
            Score("accuracy", _("accuracy"), 3, rising=True),
        ),
        measured=_(
            "Loss is measured in nats per real token, padding left out; perplexity is its "
            "exponential; accuracy is the share of tokens guessed right. Before: the weights as "
            "the run began. After: those of the best validation loss."
        ),
    ),
    "conditional_lm": Shown(
        name=_("conditional language modelling"),
        invitation=_("To write texts of a class: a language model with labels"),
        about=_("Texts with classes; a label then says of which class it is to write."),
        from_scratch=_("Random weights; the model learns everything from your texts."),
        no_data=_("There are no texts with classes yet: a file with a text and a class a row."),
        get_data=_("Upload some, and name the column with the class"),
        per_second=_("Tokens per second"),
        seen=_("Tokens seen"),
        splits={"validation": _("validation texts"), "test": _("test texts")},
        scores=(
            Score("loss", _("loss per token, with the true label"), 3),
            Score("wrong_loss", _("with a wrong label"), 3, rising=None),
            Score("unlabelled_loss", _("without a label"), 3, rising=None),
            Score("perplexity", _("perplexity, with the true label"), 1),
            Score("accuracy", _("accuracy"), 3, rising=True),
        ),
        measured=_(
            "Loss is measured in nats per real token of the texts, the label itself left out; "
            "perplexity is its exponential; accuracy is the share of tokens guessed right. Before: "
            "the weights as the run began. After: those of the best validation loss."
        ),
        curves=(
            "loss,validation_loss",
            "validation_loss,validation_wrong_loss,validation_unlabelled_loss",
            "validation_accuracy",
            "learning_rate",
            "gradient_norm",
        ),
        watched=(
            Score("validation_loss", _("Loss with the true label"), 3),
            Score("validation_wrong_loss", _("With a wrong label"), 3, rising=None),
            Score("validation_unlabelled_loss", _("Without a label"), 3, rising=None),
        ),
    ),
    "classification": Shown(
        name=_("classification"),
        invitation=_("To tell classes apart: a classifier"),
        about=_("Of labelled texts or images. Fine-tunes a source, or pretrains one for others."),
        from_scratch=_(
            "Random weights; the network learns everything from your images, and can be a source "
            "afterwards."
        ),
        no_data=_(
            "There is no data with labels yet: texts with a field for the class, or images in a "
            "folder for each class."
        ),
        get_data=_("Upload some"),
        per_second=_("Examples per second"),
        seen=_("Examples seen"),
        splits={"validation": _("validation split"), "test": _("test split")},
        scores=(
            Score("loss", _("loss per example"), 3),
            Score("accuracy", _("accuracy"), 3, rising=True),
        ),
        measured=_(
            "Loss is measured in nats per example; accuracy is the share of examples told right. "
            "Before: the weights as the run began. After: those of the best validation loss."
        ),
    ),
    "regression": Shown(
        name=_("regression"),
        invitation=_("To predict a number of a text or an image: regression"),
        about=_("A rating, an age, an angle. Fine-tunes a source, or pretrains one for others."),
        from_scratch=_(
            "Random weights; the network learns everything from your images, and can be a source "
            "afterwards."
        ),
        no_data=_(
            "There are no texts or images with numbers yet: a file with a text and a number a row, "
            "or images and a list with a number each."
        ),
        get_data=_("Upload some, and name the column with the number"),
        per_second=_("Examples per second"),
        seen=_("Examples seen"),
        splits={"validation": _("validation split"), "test": _("test split")},
        scores=(
            Score("rmse", _("RMSE"), 3),
            Score("mae", _("mean absolute error"), 3),
            Score("loss", _("loss in standard units"), 3),
        ),
        measured=_(
            "RMSE and mean absolute error are in the units of the number. The loss is what is "
            "minimised: the error in standard deviations of the training split, squared or by "
            "Huber's rule; always guessing the mean comes to about 1. Before: the weights as the "
            "run began. After: those of the best validation loss."
        ),
        curves=("loss,validation_loss", "validation_rmse", "learning_rate", "gradient_norm"),
    ),
    "token_classification": Shown(
        name=_("token classification"),
        invitation=_("To tag the words of sentences: token classification"),
        about=_("Parts of speech, named entities. Fine-tunes a text checkpoint for your tags."),
        from_scratch=_("Random weights, as the scratch twin of a transfer begins."),
        no_data=_(
            "There are no sentences with tags yet: CoNLL (a word and its tag a line), or rows with "
            "a list of words and a list of tags."
        ),
        get_data=_("Upload some"),
        per_second=_("Words per second"),
        seen=_("Words seen"),
        planned=_("Sentences seen"),
        splits={"validation": _("validation split"), "test": _("test split")},
        scores=(
            Score("loss", _("loss per word"), 3),
            Score("accuracy", _("accuracy by word"), 3, rising=True),
        ),
        measured=_(
            "Loss is measured in nats per word; accuracy is the share of words with the right tag. "
            "Before: the weights as the run began. After: those of the best validation loss."
        ),
    ),
    "wide_deep": Shown(
        name="Wide & Deep",
        invitation=_("To tell the rows of a table apart: Wide & Deep"),
        about=_("A linear model over columns and their crosses, and a network, trained together."),
        from_scratch=_("Random weights; the model learns everything from your table."),
        no_data=_("There is no table yet with a target that has classes."),
        get_data=_("Upload one, and say which column is to be predicted"),
        per_second=_("Rows per second"),
        seen=_("Rows seen"),
        splits={"validation": _("validation split"), "test": _("test split")},
        scores=(
            Score("loss", _("loss per row"), 3),
            Score("accuracy", _("accuracy"), 3, rising=True),
        ),
        measured=_(
            "Loss is measured in nats per row; accuracy is the share of rows told right. Before: "
            "the weights as the run began. After: those of the best validation loss."
        ),
    ),
    "multi_task": Shown(
        name=_("multi-task learning"),
        invitation=_("To predict several targets of a table at once: multi-task learning"),
        about=_("One network, a head for each target: what one teaches may serve the main one."),
        from_scratch=_("Random weights; the network learns everything from your table."),
        no_data=_("There is no table yet with a target."),
        get_data=_("Upload one, and say which columns are to be predicted"),
        per_second=_("Rows per second"),
        seen=_("Rows seen"),
        splits={"validation": _("validation split"), "test": _("test split")},
        scores=(
            Score("loss", _("loss of the main target"), 3),
            Score("accuracy", _("accuracy on the main target"), 3, rising=True),
            Score("rmse", _("RMSE on the main target"), 3),
        ),
        measured=_(
            "All of the main target: of classes, loss is measured in nats per row, and accuracy is "
            "the share of rows told right; of a number, loss is the squared error in standard "
            "deviations, and RMSE the error in the column's units. Before: the weights as the run "
            "began. After: those of the main target's best validation loss."
        ),
        curves=(
            "validation_loss",
            "validation_accuracy",
            "loss",
            "learning_rate",
            "gradient_norm",
        ),
    ),
    "simclr": _siamese(
        "SimCLR",
        _("Features without labels: SimCLR"),
        _("Two views of an image are told from all other images of a large batch."),
    ),
    "byol": _siamese(
        "BYOL",
        _("Features without labels: BYOL"),
        _("One view predicts what a slowly following network makes of the other."),
    ),
    "simsiam": _siamese(
        "SimSiam",
        _("Features without labels: SimSiam"),
        _("One view predicts the other: one network, no negatives, the least memory."),
    ),
    "moco": _siamese(
        "MoCo",
        _("Features without labels: MoCo"),
        _("A view is found among thousands in a queue (InfoNCE), with small batches too."),
    ),
    "cvae": _generative(
        _("conditional VAE"),
        _("To make images or sounds of a class: conditional VAE"),
        _("Learns quickly and surely, and what it makes is a little soft."),
        scores=(
            Score("loss", _("loss per example"), 1),
            Score("reconstruction", _("reconstruction"), 1),
            Score("divergence", _("divergence of the latents"), 1, rising=None),
        ),
        measured=_(
            "A classifier tells how many made images are of the class that was meant, and how far "
            "what it sees in them is from what it sees in real ones. Loss, reconstruction and "
            "divergence in nats per example. Before: the weights as the run began. After: those of "
            "the best validation loss."
        ),
        curves=("loss,validation_loss", "validation_reconstruction,validation_divergence"),
    ),
    "cgan": _generative(
        _("conditional GAN"),
        _("To make images or sounds of a class: conditional GAN"),
        _("Sharper; two networks learn from each other, which takes more steps."),
        scores=(
            Score("generator_loss", _("loss of the generator"), 3, rising=None),
            Score("discriminator_loss", _("loss of the discriminator"), 3, rising=None),
        ),
        measured=_(
            "A classifier tells how many made images are of the class that was meant, and how far "
            "what it sees in them is from what it sees in real ones. The two losses pull against "
            "each other, and say little of the images. Before: the weights as the run began. "
            "After: the last ones, of the generator their running average."
        ),
        curves=(
            "validation_real_score,validation_fake_score",
            "validation_generator_loss,validation_discriminator_loss",
            "loss",
        ),
    ),
}
