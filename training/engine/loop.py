"""The training loop: steps, looks at the validation text, samples, states, stopping.

It knows its task only through :class:`training.methods.contract.Task`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training import stopping
from training.engine import state
from training.engine.phases import Phase, phase_at
from training.engine.schedule import learning_rate
from training.engine.scoring import Scorer
from training.errors import TrainingError
from training.events import EventLog, tell_sample
from training.faults import fault_point
from training.methods.contract import LoopSpec, Task
from training.sums import sum_in_order
from training.weights.tensors import LazyTensors

#: A step, the weights after it, and the scores of the look there.
Snapshot = Callable[[int, Mapping[str, np.ndarray], Mapping[str, float]], None]

#: Seconds between two ``progress`` events, and how far back their rate looks.
PROGRESS_S, RATE_WINDOW_S = 0.25, 10.0
#: A look takes ``evaluation.batches``, the report this many times as many.
REPORT_FACTOR = 10


class Loop:
    """One run from where it stands to its last step.

    Args:
        spec: The run.
        task: Model and data.
        strategy: The devices' strategy; the task's variables were made in its scope.
        position: Where the run stands; updated in place.
        events: Where it tells of itself.
        root: Folder of the states.
        snapshot: Called at the end of each cycle of the learning rate, with the weights and the
            look's scores, before the state of that step is saved.
    """

    def __init__(
        self,
        spec: LoopSpec,
        task: Task,
        strategy: Any,
        position: state.Position,
        events: EventLog,
        root: Path,
        snapshot: Snapshot | None = None,
    ) -> None:
        self._snapshot = snapshot
        self.spec, self.task, self.strategy = spec, task, strategy
        self.position, self.events, self.root = position, events, root
        named = task.model.named_variables
        self.trained = {name: named[name].value for name in task.model.trainable_names()}
        #: What training changes: those, and the running statistics that follow the batches'.
        self.kept = self.trained | {name: named[name].value for name in task.model.followed_names()}
        with strategy.scope():
            self.optimizer = task.optimizer(self.trained, spec.training)
        self.best: Mapping[str, np.ndarray] | None = None
        self.saved_step = -1
        self._cycle_ends = frozenset(spec.training.cycle_ends)
        self._steps: dict[Phase, Any] = {}
        self._scorer = Scorer(task)
        self._earlier_s, self._started = position.elapsed_s, time.monotonic()
        self._recent: deque[tuple[float, int, int]] = deque()
        self._last_progress = 0.0

    # --- the whole ---------------------------------------------------------------------------

    def restore(self, saved: state.Saved) -> None:
        """Take up a saved state."""
        for name, variable in self.kept.items():
            variable.assign(saved.weights[name])
        self.optimizer.load_named(saved.optimizer)
        self.best = None if saved.best is None else {n: np.array(v) for n, v in saved.best.items()}
        self.saved_step = self.position.step

    def run(self) -> None:
        """Train to the last step.

        Raises:
            TrainingError: ``nan_loss``, ``disk_full_writing``.
            stopping.Stopped: On request, with the state saved.
        """
        with stopping.deferred():
            if self.position.step == 0 and self.position.before is None:
                self._begin()
            self.events.emit("phase", name="training", fraction=None, detail="")
            while self.position.step < self.spec.training.steps:
                if stopping.requested():
                    self._save()
                    raise stopping.Stopped(self.position.step)
                self._advance()
            self._save()

    def _begin(self) -> None:
        """What is true before the first step: scores, a look, samples, and the first state."""
        self.position.before = self.evaluate_for_report()
        self._look()
        self._samples()
        self._save()

    def _advance(self) -> None:
        step = self.position.step + 1
        rate = learning_rate(self.spec.training, step)
        loss, norm, tokens = self._update(step, rate)
        for value in (loss, norm):
            self._require_finite(value, step)
        self.position.step = step
        self.position.tokens += tokens
        self.events.emit(
            "metric",
            step=step,
            values={"loss": loss, "learning_rate": rate, "gradient_norm": norm},
        )
        fault_point("loop.step")
        last = step == self.spec.training.steps
        evaluation = self.spec.evaluation
        self._progress(force=step == 1 or last)
        cycle_ends = step in self._cycle_ends
        looked = None
        if last or cycle_ends or step % evaluation.every == 0:
            looked = self._look()
        if cycle_ends and looked is not None and self._snapshot is not None:
            self._snapshot(step, self.current(), looked)
        every = self.task.sample_every
        if every is not None and (last or step % every == 0):
            self._samples()
        if not last and step % evaluation.checkpoint_every == 0:
            self._save()

    # --- a step ------------------------------------------------------------------------------

    def _update(self, step: int, rate: float) -> tuple[float, float, int]:
        accumulation = self.spec.training.accumulation
        first = (step - 1) * accumulation
        batches = [self.task.batch(first + part) for part in range(accumulation)]
        stacked = [np.stack(arrays) for arrays in zip(*batches, strict=True)]
        with self.strategy.scope():
            loss, norm, tokens = self._step_in(phase_at(self.task.phases, step))(
                self._shared(stacked),
                tf.constant(first, tf.int32),
                tf.constant(rate, tf.float32),
                tf.constant(step, tf.float32),
            )
        return shortest(loss), shortest(norm), int(tokens)

    def _step_in(self, phase: Phase) -> Any:
        """The compiled step of a phase."""
        if phase not in self._steps:
            # Nothing here needs autograph, which would read the sources and take a second.
            self._steps[phase] = tf.function(partial(self._traced_step, phase), autograph=False)
        return self._steps[phase]

    def _shared(self, stacked: list[np.ndarray]) -> Any:
        """Each replica's rows, [accumulation, rows, …]; filled up with rows that do not count."""
        replicas = self.strategy.num_replicas_in_sync
        if replicas == 1:
            return tuple(tf.constant(array) for array in stacked)
        rows = stacked[0].shape[1]
        # Rows that are there again, since batch norms look at all of them; the mask, which stands
        # last, keeps them from counting.
        places = np.resize(np.arange(rows), rows + -rows % replicas)
        filled = [array[:, places] for array in stacked]
        filled[-1][:, rows:] = 0
        parts = [np.split(array, replicas, axis=1) for array in filled]

        def of_replica(context: Any) -> tuple[Any, ...]:
            number = context.replica_id_in_sync_group
            return tuple(tf.constant(part[number]) for part in parts)

        return self.strategy.experimental_distribute_values_from_function(of_replica)

    def _traced_step(
        self, phase: Phase, parts: Any, first: Any, rate: Any, step: Any
    ) -> tuple[Any, Any, Any]:
        """Gradients on every replica, their sum, one update."""
        total, tokens, gradients = self.strategy.run(self._on_replica, args=(phase, parts, first))
        sum_up = tf.distribute.ReduceOp.SUM
        total = self.strategy.reduce(sum_up, total, axis=None)
        tokens = self.strategy.reduce(sum_up, tokens, axis=None)
        variables = [self.trained[name] for name in phase.names]
        gradients = self.strategy.extended.batch_reduce_to(
            sum_up, list(zip(gradients, variables, strict=True))
        )
        norm = self.optimizer.apply(phase.names, gradients, tokens, rate, step)
        self.task.follow(step)
        return total / tf.maximum(tokens, 1.0), norm, tokens

    def _on_replica(self, phase: Phase, parts: Any, first: Any) -> tuple[Any, Any, list[Any]]:
        """Sums over the accumulated micro-batches of one replica."""
        context = tf.distribute.get_replica_context()
        replicas, replica = context.num_replicas_in_sync, context.replica_id_in_sync_group
        variables = [self.task.model.named_variables[name].value for name in phase.names]

        def micro(part: Any) -> tuple[Any, Any, list[Any]]:
            draw = (first + part) * replicas + replica
            seed = tf.stack([tf.constant(self.spec.seed, tf.int32), draw])
            batch = [array[part] for array in parts]
            loss, tokens, gradients = self.task.gradients(batch, seed, variables, phase)
            return loss, tokens, [tf.convert_to_tensor(g) for g in gradients]

        count = self.spec.training.accumulation
        if count == 1:
            return micro(0)
        if replicas > 1 and self.task.model.followed_names():
            # Replicas average their running statistics, which they cannot within a loop.
            losses, counts, found = zip(*map(micro, range(count)), strict=True)
            gradients = [sum_in_order(parts) for parts in zip(*found, strict=True)]
            return sum_in_order(losses), sum_in_order(counts), gradients
        zeros = [tf.zeros(variable.shape, tf.float32) for variable in variables]

        def body(part: Any, loss: Any, tokens: Any, sums: list[Any]) -> tuple[Any, ...]:
            more_loss, more_tokens, gradients = micro(part)
            sums = [a + b for a, b in zip(sums, gradients, strict=True)]
            return part + 1, loss + more_loss, tokens + more_tokens, sums

        _part, loss, tokens, sums = tf.while_loop(
            lambda part, *_: part < count,
            body,
            (tf.constant(0), tf.constant(0.0), tf.constant(0.0), zeros),
            parallel_iterations=1,
        )
        return loss, tokens, sums

    def _require_finite(self, value: float, step: int) -> None:
        if not math.isfinite(value):
            name = "NaN" if math.isnan(value) else "infinite"
            kept = max(self.saved_step, 0)
            raise TrainingError(
                "nan_loss", field="training.learning_rate", value=name, step=step, kept_step=kept
            )

    # --- looks and samples -------------------------------------------------------------------

    def evaluate(
        self, split: str, limit: int, *, stoppable: bool = False
    ) -> dict[str, float] | None:
        """Scores over at most so many batches of a split; None when there is no such split.

        A look takes about as long as a few steps, so a request waits for its end: the state is
        then saved with it, and no step since the last state is lost.

        Raises:
            stopping.Stopped: On request, when ``stoppable``: where the state on disk is all there
                is to keep.
        """

        def look_up() -> None:
            if stoppable and stopping.requested():
                raise stopping.Stopped(max(self.saved_step, 0))

        return self._scorer.scores(split, limit, look_up)

    def evaluate_for_report(self) -> dict[str, dict[str, float] | None]:
        """Validation and test, more of them than a look takes.

        Raises:
            stopping.Stopped: On request.
        """
        limit = self.spec.evaluation.batches * REPORT_FACTOR
        found = {}
        for number, split in enumerate(("validation", "test")):
            self.events.emit("phase", name="evaluating", fraction=number / 2, detail=split)
            scores = self.evaluate(split, limit, stoppable=True)
            found[split] = None if scores is None else scores | self.task.measure(split)
        return found

    def current(self) -> dict[str, np.ndarray]:
        """What training changes, as it is now."""
        return {name: variable.numpy() for name, variable in self.kept.items()}

    def _look(self) -> dict[str, float] | None:
        scores = self.evaluate("validation", self.spec.evaluation.batches)
        if scores is None:
            return None
        step, loss = self.position.step, scores["loss"]
        self._require_finite(loss, step)
        self.events.emit("metric", step=step, values=self.task.look(scores))
        best = self.position.best
        if best is None or self.task.keeps == "last" or loss < best["validation_loss"]:
            self.position.best = {"step": step, "validation_loss": loss}
            self.best = self.current()
        return scores

    def _samples(self) -> None:
        for sample in self.task.samples():
            tell_sample(self.events, self.position.step, sample)

    # --- telling and keeping -----------------------------------------------------------------

    def _progress(self, force: bool = False) -> None:
        now = time.monotonic()
        self._recent.append((now, self.position.step, self.position.tokens))
        while len(self._recent) > 2 and now - self._recent[1][0] > RATE_WINDOW_S:
            self._recent.popleft()
        if not force and now - self._last_progress < PROGRESS_S:
            return
        self._last_progress = now
        then, step, tokens = self._recent[0]
        passed = now - then
        steps_per_s = (self.position.step - step) / passed if passed > 0 else None
        total = self.spec.training.steps
        training = self.spec.training
        sequences = self.position.step * training.batch_size * training.accumulation
        self.events.emit(
            "progress",
            step=self.position.step,
            total_steps=total,
            epoch=self.task.epoch(sequences)[0],
            tokens=self.position.tokens,
            steps_per_s=steps_per_s,
            tokens_per_s=(self.position.tokens - tokens) / passed if passed > 0 else None,
            eta_s=(total - self.position.step) / steps_per_s if steps_per_s else None,
        )

    @property
    def elapsed_s(self) -> float:
        """Time spent training, earlier processes' included."""
        return self._earlier_s + time.monotonic() - self._started

    def _save(self) -> None:
        position = self.position
        if self.saved_step == position.step:
            return
        position.elapsed_s = round(self.elapsed_s, 3)
        training = self.spec.training
        epoch, index = self.task.epoch(position.step * training.batch_size * training.accumulation)
        position.data = {"epoch": epoch, "index": index}
        weights, slots = _copied_out(self.kept), _copied_out(self.optimizer.slots)
        folder = state.save(self.root, position, weights, slots, self.best)
        self.saved_step = position.step
        path = f"{self.root.name}/{folder.name}"
        self.events.emit("checkpoint", step=position.step, path=path)


def _copied_out(variables: Mapping[str, Any]) -> LazyTensors:
    """Variables, each copied out of TensorFlow when looked up: one tensor in memory at a time."""
    return LazyTensors(
        {name: variable.numpy for name, variable in variables.items()},
        {
            name: (np.dtype(variable.dtype.as_numpy_dtype), tuple(variable.shape))
            for name, variable in variables.items()
        },
    )


def shortest(value: Any) -> float:
    """A float32 as the shortest decimal that gives the same float32 again."""
    return float(str(np.float32(value)))
