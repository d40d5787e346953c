"""A kept reference is the network that was kept, and preprocesses images as it was made to."""

from dataclasses import replace

import guided_case
import pytest
import torch
from torch.nn import functional

from synthgap.errors import CheckpointError, ParamsError
from synthgap.guidance.domains import DomainRows
from synthgap.guidance.reference import (
    ReferenceNetwork,
    denormalised,
    feature_function,
    output_function,
    student_from,
)
from synthgap.models.activations import penultimate_features
from synthgap.models.build import build_student
from synthgap.models.reference import (
    NetworkSpec,
    Preprocessing,
    ReferenceOrigin,
    save_reference,
)
from synthgap.params.students import Student

PREPROCESSING = Preprocessing(8, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4))
OPTIONS = {"channels": (8, 8, 8, 8), "stem_width": 8}
STUDENT = Student("resnet10t", OPTIONS, "imagenet", "random", None, "cosine", 0.1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A contrastive network that was kept, its folder, and it opened again; read only."""
    folder = tmp_path_factory.mktemp("reference")
    shape = NetworkSpec("resnet10t", OPTIONS, "imagenet", 5, temperature=0.5)
    network = shape.built(seed=1, place="here").eval()
    origin = ReferenceOrigin("train", "contrastive", "corpus", "digest", 24, 0)
    save_reference(folder, network.state_dict(), shape, PREPROCESSING, origin)
    return network, folder, ReferenceNetwork.open(folder)


def test_it_answers_as_the_network_that_was_kept(kept):
    network, _, reference = kept
    images = torch.rand(3, 3, 8, 8)
    normalised = (images - torch.tensor(PREPROCESSING.mean).view(3, 1, 1)) / torch.tensor(
        PREPROCESSING.std
    ).view(3, 1, 1)
    with torch.no_grad():
        features, outputs = penultimate_features(network, normalised)
    torch.testing.assert_close(reference.features(images), features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(reference.outputs(images), outputs, rtol=1e-4, atol=1e-5)
    assert outputs.shape == (3, reference.num_outputs)
    assert reference.features(images, 2).shape == (3, 8)


def test_it_says_what_it_is(kept):
    reference = kept[2]
    assert reference.title == "resnet10t, contrastive on 24 images of corpus, no labels"
    assert (reference.about["kind"], reference.about["labels_used"]) == ("train", 0)
    assert not any(parameter.requires_grad for parameter in reference.network.parameters())


def test_images_of_another_size_are_resized(kept):
    images = torch.rand(2, 3, 16, 16)
    small = functional.interpolate(images, (8, 8), mode="bicubic", antialias=True).clamp(0, 1)
    reference = kept[2]
    torch.testing.assert_close(reference.features(images), reference.features(small))


def test_changed_weights_are_refused(kept, tmp_path):
    network = kept[0]
    shape = NetworkSpec("resnet10t", OPTIONS, "imagenet", 5, temperature=0.5)
    save_reference(
        tmp_path, network.state_dict(), shape, PREPROCESSING, ReferenceOrigin.elsewhere()
    )
    (tmp_path / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(CheckpointError, match="changed after it was written"):
        ReferenceNetwork.open(tmp_path)
    with pytest.raises(CheckpointError, match="dvc repro references"):
        ReferenceNetwork.open(tmp_path / "nowhere")


def half_of(train_spec, rows):
    """Rows of a train spec as they are served without augmentation."""
    images = train_spec.images.images[rows].float() / 255
    return DomainRows([train_spec.normalisation(images)], train_spec.images.labels[rows], rows, 1.0)


def test_crops_of_a_train_spec_are_passed_as_plain_images(kept):
    train_spec, rows = guided_case.method_context().train_spec, torch.tensor([3, 0, 7])
    half, images = half_of(train_spec, rows), train_spec.images.images[rows].float() / 255
    torch.testing.assert_close(
        denormalised(half.crops[0], train_spec), images, rtol=1e-5, atol=1e-6
    )
    found = feature_function(kept[2], train_spec, CPU, 3)(half)
    torch.testing.assert_close(found, kept[2].features(images, 3), rtol=1e-3, atol=1e-4)
    found = output_function(kept[2], train_spec, CPU)(half)
    torch.testing.assert_close(found, kept[2].outputs(images), rtol=1e-3, atol=1e-4)


def test_where_nothing_is_left_to_chance_every_image_is_looked_at_once(kept):
    given = guided_case.method_context()
    train_spec = replace(
        given.train_spec, training=replace(given.train_spec.training, augmentation="none")
    )
    passes = []
    handle = kept[2].network.register_forward_hook(lambda *call: passes.append(len(call[2])))
    features_of = feature_function(kept[2], train_spec, CPU)
    found = [
        features_of(half_of(train_spec, rows)) for rows in (torch.tensor([5, 1]), torch.tensor([1]))
    ]
    handle.remove()
    assert sum(passes) == len(train_spec.images)
    assert torch.equal(found[0][1], found[1][0])
    images = train_spec.images.images[torch.tensor([5, 1])].float() / 255
    torch.testing.assert_close(found[0], kept[2].features(images), rtol=1e-4, atol=1e-5)


def test_a_student_starts_from_its_twin_all_but_the_classifier(kept):
    network, folder, reference = kept
    started = build_student(student_from(STUDENT, folder), 3, seed=4)
    fresh, given = build_student(STUDENT, 3, seed=4).state_dict(), network.state_dict()
    for name, value in started.state_dict().items():
        assert torch.equal(value, fresh[name] if name.startswith("fc.") else given[name]), name
    assert reference.has_architecture_of(started)


def test_another_network_is_no_start(kept):
    folder = kept[1]
    for other in (
        replace(STUDENT, model="resnet14t"),
        replace(STUDENT, stem="small"),
        replace(STUDENT, options={**OPTIONS, "channels": (8, 8, 8, 16)}),
    ):
        with pytest.raises(ParamsError, match="expected the student's own") as error:
            student_from(other, folder)
        assert "\n" not in str(error.value)
        assert not kept[2].has_architecture_of(build_student(other, 3, seed=0))
