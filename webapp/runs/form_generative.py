"""The forms of runs that make images or sounds of classes."""

from __future__ import annotations

from typing import Any

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from pydantic import ValidationError

from training.backbones.generator_config import (
    LEAST_PX,
    MOST_CLASSES,
    MOST_PX,
    PX_STEP,
    GeneratorConfig,
)
from training.backbones.registry import BACKBONES
from training.generative.loaded import LEAST_IMAGES
from training.generative.settings import GenerativeSpec, rows_of, with_rows
from webapp.checkpoints.models import Checkpoint
from webapp.datasets.models import DatasetVersion
from webapp.jobs.selectors import sentence
from webapp.runs import references
from webapp.runs.form import RunForm
from webapp.runs.sources import Source, classes_of, sound_of

#: Samples of a class of sounds.
HEARD = 4
#: Classifiers that are offered as judges: the newest.
MOST_JUDGES = 50


class GenerativeForm(RunForm):
    """A model of images or sounds of classes, and the classifier that judges what it makes."""

    template = "runs/new_generative.html"
    data_template = "runs/data_classification.html"
    LIKE = "judge.checkpoint"
    LIKE_SHOWN = True
    #: The width follows from the data: images are square, and sounds as long as they are.
    SILENT = (*RunForm.SILENT, "model.architecture", "model.num_classes", "model.width_px")
    told_of_data = "runs/sounds.html"
    SHOWN_AT = {**RunForm.SHOWN_AT, "judge.checkpoint": "judge", "model": "source"}
    OTHER_INPUTS = (*RunForm.OTHER_INPUTS, "judge")

    def leaves_out(self, path: str) -> bool:
        # A transfer's model is its source's, and the library's classifiers know no sounds.
        own = self.is_transfer and path.startswith("model.")
        return super().leaves_out(path) or own or (self.sound is not None and path == self.LIKE)

    def complete(self, spec: dict[str, Any]) -> None:
        if "model" in spec:
            classes = min(max(1, len(self.classes)), MOST_CLASSES)
            spec["model"] |= {"architecture": self.architecture, "num_classes": classes}
            if self.sound is not None:
                height, width = self.sound["bands"], self.sound["frames"]
                spec["model"] |= {"image_px": height, "width_px": width, "in_channels": 1}

    @property
    def sound(self) -> dict[str, Any] | None:
        """How the data's sounds are pictured; None where they are images, or not chosen."""
        found: dict[str, Any] | None = (
            self.version.summary.get("sound") if self.version is not None else None
        )
        return found

    @property
    def sound_seconds(self) -> float:
        """How long what is made will be."""
        assert self.sound is not None
        return float(self.sound["frames"] * self.sound["hop"] / self.sound["rate"])

    @property
    def architecture(self) -> str:
        """What the method trains."""
        (found,) = self.entry.backbones
        return found

    @property
    def classes(self) -> list[str]:
        """Of the data, the largest first."""
        labels = (self.version.summary.get("labels") or {}) if self.version is not None else {}
        return [str(one["name"]) for one in labels.get("classes") or ()]

    @cached_property
    def config(self) -> GeneratorConfig | None:
        """The model that would be trained, with a row for each class."""
        base: Any = self.source.config if self.source is not None else None
        if not self.is_transfer:
            try:
                settings = BACKBONES[self.architecture].config
                base = settings.model_validate(self.payload()["model"])
            except ValidationError:
                return None
        rows = len(rows_of(classes_of(self.source), self.classes))
        if not isinstance(base, GeneratorConfig) or not 1 <= rows <= MOST_CLASSES:
            return None
        return with_rows(base, rows)

    @classmethod
    def data_values(cls, version: DatasetVersion) -> dict[str, Any]:
        """Images of about their own size, in grey where all of them are; a few sounds."""
        if version.summary.get("sound"):
            # Each is listened to, which takes longer than a glance.
            return {"evaluation.samples": str(HEARD)}
        found = {"evaluation.samples": cls.layout().default("evaluation.samples")}
        if side := version.summary.get("side_px"):
            wanted = round(side / PX_STEP) * PX_STEP
            found["model.image_px"] = str(min(max(wanted, LEAST_PX), MOST_PX))
        if modes := set(version.summary.get("modes") or {}):
            found["model.in_channels"] = "1" if modes == {"L"} else "3"
        return found

    @cached_property
    def judges(self) -> list[tuple[str, str]]:
        """The team's classifiers of images: reference and name."""
        images = [name for name, backbone in BACKBONES.items() if backbone.kind == "image"]
        rows = (
            Checkpoint.objects.filter(team=self.team, architecture__in=images)
            .exclude(stage=Checkpoint.Stage.ARCHIVED)
            .filter(card__classes__isnull=False)
            .order_by("-created_at")
        )
        found = [(references.write("checkpoint", one.pk), one.name) for one in rows[:MOST_JUDGES]]
        chosen = self.values[self.LIKE]
        if chosen and chosen not in dict(found) and self.judge is not None:
            found.append((chosen, self.judge.name))
        return found

    @cached_property
    def judge(self) -> Checkpoint | None:
        """The classifier chosen."""
        try:
            kind, pk = references.read(self.values[self.LIKE])
        except ValueError:
            return None
        if kind != "checkpoint":
            return None
        return Checkpoint.objects.filter(team=self.team, pk=pk).first()

    def too_few(self, devices: int) -> str:
        return _("With %(count)s devices, at least %(count)s examples are needed.") % {
            "count": devices
        }

    def check_whole(self, spec: GenerativeSpec) -> None:
        """What only shows when data, source and judge are known."""
        if self.version is not None:
            self._check_data()
        if self.sound is not None or not spec.judge.checkpoint:
            return
        if self.judge is None:
            self.add("judge", _("This classifier is no longer there."))
            return
        known = [str(name) for name in self.judge.card.get("classes") or ()]
        if not known:
            self.add("judge", sentence("judge_no_classifier", {}))
        elif missing := [name for name in self.classes if name not in known]:
            self.add("judge", sentence("judge_classes", {"missing": missing[0]}))

    def _check_data(self) -> None:
        assert self.version is not None
        if "validation" not in (self.version.summary.get("splits") or {}):
            self.add("data", sentence("split_missing", {"split": "validation"}))
        if self.source is not None:
            self._check_sounds(self.source)
        rows = len(rows_of(classes_of(self.source), self.classes))
        if len(self.classes) < 2:
            self.add("data", sentence("generate_one_class", {}))
        elif rows > MOST_CLASSES:
            told = {"classes": rows, "most": MOST_CLASSES}
            self.add("data", sentence("generate_too_many_classes", told))
        for one in (self.version.summary.get("labels") or {}).get("classes") or ():
            images = int(one.get("train", LEAST_IMAGES))
            if images < LEAST_IMAGES:
                small = {"name": str(one["name"]), "images": images, "least": LEAST_IMAGES}
                self.add("data", sentence("generate_class_too_small", small))
                return

    def _check_sounds(self, source: Source) -> None:
        """Whether a source's pictures are of the data's size, and of sounds like them."""
        known, theirs, mine = source.config, sound_of(source), self.sound
        if not isinstance(known, GeneratorConfig):
            return
        if mine is None:
            if known.width_px not in (None, known.image_px):
                self.add("source", sentence("generate_square", {}))
            return
        size = mine["bands"], mine["frames"]
        if (known.size, known.in_channels) != (size, 1):
            told = {"known": "{} × {}".format(*known.size), "found": "{} × {}".format(*size)}
            self.add("source", sentence("sound_other_size", told))
        elif theirs and any(theirs[name] != mine[name] for name in ("rate", "window", "hop")):
            rates = {"known": theirs["rate"], "found": mine["rate"]}
            self.add("source", sentence("sound_other_shape", rates))

    @classmethod
    def source_values(cls, source: Source) -> dict[str, Any]:
        """What has learned already is changed more gently."""
        return {"training.learning_rate": "0.0005"}


class CVAEForm(GenerativeForm):
    """See :mod:`training.methods.task_related.cvae`."""

    method = "cvae"


class CGANForm(GenerativeForm):
    """See :mod:`training.methods.task_related.cgan`."""

    method = "cgan"
