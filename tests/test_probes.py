"""Frozen probes: what scikit-learn predicts, from what a window has, chosen on dev."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from oragen.features.dataset import WindowDataset
from oragen.features.rows import NONE
from oragen.models.heads import FrozenProbeHead, build_head, load_head, save_head
from oragen.schema.vocabulary import GENDERS, MASK_TYPES, UNKNOWN_LABEL, ModalitySet
from oragen.training import probes
from oragen.training.inference import predict_windows
from oragen.training.loop import TrainingOptions
from oragen.training.losses import TaskWeights
from oragen.training.probes import STRENGTHS, WITHOUT_DEV, fit_frozen_probe, pool_windows
from tests.feature_stores import load_speakers, write_speakers
from tests.small_trainings import OPTIONS as BALANCED
from tests.small_trainings import SIZES

OPTIONS = replace(BALANCED, balance_classes=False)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> WindowDataset:
    return load_speakers(write_speakers(tmp_path_factory.mktemp("train"), 30))


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> WindowDataset:
    return load_speakers(write_speakers(tmp_path_factory.mktemp("dev"), 12, split="dev", seed=1))


def fit(
    train: WindowDataset,
    dev: WindowDataset | None = None,
    *,
    options: TrainingOptions = OPTIONS,
    seed: int = 0,
) -> FrozenProbeHead:
    head = build_head("frozen_probe", SIZES)
    assert isinstance(head, FrozenProbeHead)
    fit_frozen_probe(head, train, dev, options, genders=GENDERS, seed=seed)
    return head


def without_face(dataset: WindowDataset) -> WindowDataset:
    hidden = np.full_like(dataset.face.row_of, NONE)
    return replace(dataset, face=replace(dataset.face, row_of=hidden))


@pytest.mark.parametrize("modalities", ["audio_visual", "audio", "face"])
@pytest.mark.parametrize("balance", [False, True])
def test_a_probe_predicts_what_scikit_learn_does(
    train: WindowDataset, modalities: ModalitySet, balance: bool
) -> None:
    """From the means of what a window has; the strength is that for want of dev clips."""
    head = fit(train, options=replace(OPTIONS, balance_classes=balance))
    pooled = pool_windows(head, train)
    features = pooled.features[:, head.find_part(modalities)].double().numpy()
    penalty = STRENGTHS[WITHOUT_DEV] * len(features)
    logistic = LogisticRegression(
        C=1 / penalty, max_iter=500, class_weight="balanced" if balance else None
    )
    classes = make_pipeline(StandardScaler(), logistic)
    ages = make_pipeline(StandardScaler(), Ridge(alpha=penalty))
    found = predict_windows(head, train, modalities=modalities).predictions
    assert found.mask_type is not None
    for task, shares in {"gender": found.gender, "mask_type": found.mask_type}.items():
        expected = classes.fit(features, pooled.labels[task]).predict_proba(features)  # type: ignore[index]
        np.testing.assert_allclose(shares, expected, atol=2e-3)
    expected = ages.fit(features, pooled.labels["age"]).predict(features)
    np.testing.assert_allclose(found.age_years, expected, atol=1e-2)


def test_the_features_are_means_of_frames_and_of_crops_in_the_last_layer(
    train: WindowDataset,
) -> None:
    head = fit(train)
    [batch] = train.choose(np.array([3])).batches(1, torch.device("cpu"))
    pooled = pool_windows(head, train.choose(np.array([3]))).features[0]
    torch.testing.assert_close(pooled[:3], batch.audio[0].mean(dim=0))
    torch.testing.assert_close(pooled[3:], batch.face[0, :, 1].mean(dim=0))


def test_each_task_takes_the_strength_that_is_best_on_dev(
    train: WindowDataset, dev: WindowDataset
) -> None:
    head = build_head("frozen_probe", SIZES)
    assert isinstance(head, FrozenProbeHead)
    *tried, chosen = fit_frozen_probe(head, train, dev, OPTIONS, genders=GENDERS, seed=0)
    assert len(tried) == len(STRENGTHS)
    assert chosen.gender_uar == max(epoch.gender_uar or 0 for epoch in tried)
    assert chosen.mask_type_uar == max(epoch.mask_type_uar or 0 for epoch in tried)
    assert chosen.dev_score >= max(epoch.dev_score for epoch in tried)
    assert chosen.dev_score > tried[0].dev_score  # which holds all weights near 0
    assert chosen.age_mae_years is not None
    assert chosen.age_mae_years < 8


def test_a_class_that_no_window_has_is_never_predicted(train: WindowDataset) -> None:
    unknown = train.mask_type.clone()
    unknown[unknown == 5] = UNKNOWN_LABEL
    found = predict_windows(fit(replace(train, mask_type=unknown)), train).predictions
    assert found.mask_type is not None
    assert (found.mask_type[:, 5] == 0).all()
    assert np.isfinite(found.mask_type).all()
    one = replace(train, mask_type=torch.full_like(unknown, 2))
    found = predict_windows(fit(one), train).predictions
    assert found.mask_type is not None
    assert (found.mask_type[:, 2] == 1).all()


def test_without_any_window_of_both_they_are_averaged(train: WindowDataset) -> None:
    """One half has a voice and the other a face; together their logits and ages are averaged."""
    rows = np.arange(len(train))
    voices = np.where(rows % 2 == 0, train.audio.row_of, NONE)
    faces = np.where(rows[:, None] % 2 == 1, train.face.row_of, NONE)
    apart = replace(
        train, audio=replace(train.audio, row_of=voices), face=replace(train.face, row_of=faces)
    )
    head = fit(apart)
    features = pool_windows(head, train).features
    with torch.no_grad():
        both, voice, face = (
            head.decide(features, name) for name in ("audio_visual", "audio", "face")
        )
    torch.testing.assert_close(both.gender_logits, (voice.gender_logits + face.gender_logits) / 2)
    torch.testing.assert_close(
        both.age_years, (voice.age_years + face.age_years) / 2, atol=1e-3, rtol=1e-4
    )


def test_what_no_window_has_is_undecided(train: WindowDataset) -> None:
    head = fit(without_face(train))
    found = predict_windows(head, train, modalities="face").predictions
    assert (found.gender == 0.5).all()
    assert found.age_years == pytest.approx(50.0)


def test_of_many_windows_the_seed_draws_some(
    train: WindowDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (fit(train, seed=seed).state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    monkeypatch.setattr(probes, "MAX_WINDOWS", 40)
    first, second = (fit(train, seed=seed).state_dict() for seed in (0, 1))
    assert not torch.equal(
        first["decisions.audio.age.weight"], second["decisions.audio.age.weight"]
    )


def test_a_task_of_weight_0_is_not_learned(train: WindowDataset) -> None:
    head = fit(train, options=replace(OPTIONS, task_weights=TaskWeights(age=0.0)))
    found = predict_windows(head, train).predictions
    assert found.age_years == pytest.approx(50.0)
    assert found.gender.max() > 0.8


def test_a_saved_probe_predicts_the_same(train: WindowDataset, tmp_path: Path) -> None:
    head = fit(train)
    save_head(tmp_path, head, {"genders": list(GENDERS), "mask_types": list(MASK_TYPES)})
    assert {file.name for file in tmp_path.iterdir()} == {"head.json", "model.safetensors"}
    expected = predict_windows(head, train).predictions
    found = predict_windows(load_head(tmp_path).head, train).predictions
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one, other)  # type: ignore[arg-type]


def test_unknown_labels_do_not_count(train: WindowDataset) -> None:
    """The last 20 windows have no labels: the fit is that of the others."""
    known = torch.arange(len(train)) < len(train) - 20
    unlabelled = replace(
        train,
        gender=train.gender.where(known, UNKNOWN_LABEL),
        mask_type=train.mask_type.where(known, UNKNOWN_LABEL),
        age_years=train.age_years.where(known, torch.nan),
    )
    fewer = train.choose(np.arange(len(train) - 20))
    found, expected = (fit(data).state_dict() for data in (unlabelled, fewer))
    for name, weights in expected.items():
        torch.testing.assert_close(found[name], weights)


def test_the_table_of_the_windows_is_in_their_order(train: WindowDataset) -> None:
    pooled = pool_windows(fit(train), train)
    assert pooled.labels["age"].tolist() == train.table["age_years"].tolist()
    pd.testing.assert_frame_equal(pooled.table, train.table)
