"""A unimodal model and batches -> steps of its optimizer, and predictions, on any devices."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from transformers import PreTrainedModel

from oragen.finetuning.checkpoints import Checkpoint, Progress
from oragen.finetuning.examples import ExampleBatch, mix_seeds
from oragen.models.output import HeadOutput
from oragen.training.devices import scales_gradients
from oragen.training.history import ClassWeights
from oragen.training.losses import TaskWeights, multi_task_loss
from oragen.training.scoring import WindowPredictions

_MAX_NUMPY_SEED: Final = 2**32


class Learner:
    """A model and its optimizer on the devices of a Fabric.

    Args:
        fabric: launched.
        model: on any device; it is moved. Weights that require no gradient are not trained.
        learning_rate: of AdamW.
        weight_decay: likewise.
        gradient_clip: greatest norm of the gradient of a step.
        task_weights: of the loss.
        class_weights: likewise.
        seed: of dropout.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        *,
        learning_rate: float,
        weight_decay: float,
        gradient_clip: float,
        task_weights: TaskWeights,
        class_weights: ClassWeights,
        seed: int,
    ) -> None:
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=weight_decay)
        self._fabric = fabric
        self._model = model
        self._wrapped, self._wrapped_optimizer = fabric.setup(model, self._optimizer)
        self._gradient_clip = gradient_clip
        self._task_weights = task_weights
        self._class_weights = class_weights
        self._seed = seed

    def learn(self, batches: Sequence[ExampleBatch], *, epoch: int, first_batch: int) -> float:
        """Make one step; return the mean loss over all devices; NaN: it is not finite.

        Args:
            batches: this device's share, in which all examples have equal weight.
            epoch: its number, from 1.
            first_batch: number of the first batch in the epoch.
        """
        self._wrapped.train()
        self._wrapped_optimizer.zero_grad()
        num_examples = sum(len(batch.places) for batch in batches)
        loss = torch.zeros((), device=self._fabric.device)
        for number, batch in enumerate(batches, start=1):
            self._seed_dropout(epoch, first_batch + number)
            is_last = number == len(batches)
            with self._fabric.no_backward_sync(self._wrapped, enabled=not is_last):
                part = self._loss(batch) * (len(batch.places) / num_examples)
                self._fabric.backward(part)
            loss += part.detach()
        norm = self._fabric.clip_gradients(
            self._wrapped,
            self._wrapped_optimizer,
            max_norm=self._gradient_clip,
            error_if_nonfinite=False,
        )
        self._wrapped_optimizer.step()
        assert norm is not None  # it is where `max_norm` is given
        if not scales_gradients(self._fabric):
            loss += 0 * norm  # a scaled gradient may overflow: the step is then skipped
        return self._over_devices(loss, "mean").item()

    @torch.inference_mode()
    def predict(self, batches: Iterable[ExampleBatch], *, num_examples: int) -> WindowPredictions:
        """Predict all examples; every device returns all predictions.

        Args:
            batches: this device's share.
            num_examples: of all shares; each example must be in at least one.
        """
        self._model.eval()
        places, blocks = [], []
        for batch in map(self._fabric.to_device, batches):
            with self._fabric.autocast():
                output: HeadOutput = self._model(*batch.inputs)
            places.append(batch.places)
            blocks.append(_to_columns(output))
        own = torch.cat(blocks)  # example of this device, column
        rows = own.new_zeros(num_examples, own.shape[1])  # example, column
        rows[torch.cat(places)] = own
        rows = self._over_devices(rows, "sum")
        num_devices, values = rows[:, :1], rows[:, 1:]  # that predicted an example; their sums
        assert (num_devices > 0).all(), "every example is predicted"
        return _from_columns((values / num_devices).cpu().numpy(), output.gender_logits.shape[1])

    def checkpoint(self, progress: Progress) -> Checkpoint:
        """Return all that `restore` needs."""
        return Checkpoint(
            progress,
            self._model.state_dict(),
            self._optimizer.state_dict(),
            self._fabric.strategy.precision.state_dict(),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was made."""
        self._model.load_state_dict(checkpoint.weights)
        self._optimizer.load_state_dict(checkpoint.optimizer)
        self._fabric.strategy.precision.load_state_dict(checkpoint.precision)

    def _over_devices(self, values: Tensor, how: Literal["mean", "sum"]) -> Tensor:
        reduced = self._fabric.all_reduce(values, reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced

    def _loss(self, batch: ExampleBatch) -> Tensor:
        batch = self._fabric.to_device(batch)
        return multi_task_loss(
            self._wrapped(*batch.inputs),
            batch.targets,
            task_weights=self._task_weights,
            gender_weights=self._class_weights.gender,
            mask_type_weights=self._class_weights.mask_type,
        ).total

    def _seed_dropout(self, epoch: int, batch: int) -> None:
        """Make a batch's randomness independent of earlier batches: it may be the first one."""
        seed = mix_seeds(self._seed, epoch, batch, self._fabric.global_rank)
        torch.manual_seed(seed)
        # transformers draws from NumPy which steps of a waveform it masks.
        np.random.seed(seed % _MAX_NUMPY_SEED)  # noqa: NPY002


def _to_columns(output: HeadOutput) -> Float[Tensor, "batch columns"]:
    """Return a 1, the probabilities of genders, the age, the probabilities of mask types."""
    age_years = output.age_years.float()[:, None]  # batch -> batch, 1
    columns = [torch.ones_like(age_years), output.gender_logits.float().softmax(-1), age_years]
    if output.mask_type_logits is not None:
        columns.append(output.mask_type_logits.float().softmax(-1))
    return torch.cat(columns, dim=1)


def _from_columns(
    values: Float[np.ndarray, "examples columns"], num_genders: int
) -> WindowPredictions:
    """Undo `_to_columns`, without the 1."""
    mask_types = values[:, num_genders + 1 :]
    return WindowPredictions(
        gender=values[:, :num_genders],
        age_years=values[:, num_genders],
        mask_type=mask_types if mask_types.shape[1] else None,
    )


def keep_all_layers(model: nn.Module) -> None:
    """Skip no layer at random: devices that skip different layers would wait for each other."""
    for module in model.modules():
        if isinstance(module, PreTrainedModel) and hasattr(module.config, "layerdrop"):
            module.config.layerdrop = 0.0
        if isinstance(module, PreTrainedModel) and hasattr(module, "layerdrop"):
            module.layerdrop = 0.0  # Whisper looks here


def freeze_idle(model: nn.Module, batch: ExampleBatch) -> list[str]:
    """Freeze the weights that no output depends on; return their names.

    Training on several devices waits for the gradient of every weight that requires one.
    """
    model.eval()
    logits = [logits for logits in model(*batch.inputs) if logits is not None]
    torch.stack([logits_of_task.float().sum() for logits_of_task in logits]).sum().backward()
    idle = []
    for name, weight in model.named_parameters():
        if weight.requires_grad and weight.grad is None:
            weight.requires_grad_(False)
            idle.append(name)
        weight.grad = None
    return idle
