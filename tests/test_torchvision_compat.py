import importlib

import pytest
import torch

from eae_core import torchvision_compat
from eae_core.torchvision_compat import import_torchvision


def test_torchvision_and_its_parts_import():
    torchvision = import_torchvision()
    assert import_torchvision("datasets").MNIST is torchvision.datasets.MNIST
    tensor = import_torchvision("transforms.functional").center_crop(torch.ones(3, 9, 9), [3, 3])
    assert tensor.shape == (3, 3, 3)
    assert import_torchvision("models").resnet18().fc.out_features == 1000


def test_afterwards_a_plain_import_works():
    torchvision = import_torchvision()
    assert importlib.import_module("torchvision") is torchvision


def test_a_declared_operator_is_not_a_working_one():
    torchvision = import_torchvision()
    if not torchvision_compat._declared:
        pytest.skip("the compiled part of torchvision fits this torch: nothing was declared")
    with pytest.raises(RuntimeError, match="Couldn't load custom C"):
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


def test_nothing_is_declared_where_torchvision_imports(monkeypatch):
    monkeypatch.setattr(torchvision_compat, "_import", lambda name: name)
    monkeypatch.setattr(torchvision_compat, "_declare_operators", lambda: pytest.fail("declared"))
    assert import_torchvision("io") == "torchvision.io"


def test_operators_are_declared_once_where_the_import_needs_them(monkeypatch):
    declared = []

    def needs_operators(name):
        if not declared:
            raise RuntimeError("operator torchvision::nms does not exist")
        return name

    monkeypatch.setattr(torchvision_compat, "_declared", [])
    monkeypatch.setattr(torchvision_compat, "_import", needs_operators)
    monkeypatch.setattr(torchvision_compat, "_declare_operators", lambda: declared.append(1))
    assert import_torchvision() == "torchvision"
    assert declared == [1]


def test_another_failure_is_an_import_error_with_its_reason(monkeypatch):
    def broken(name):
        raise RuntimeError("compiled with different CUDA major versions")

    monkeypatch.setattr(torchvision_compat, "_import", broken)
    with pytest.raises(ImportError, match="cannot be imported: compiled with different CUDA"):
        import_torchvision()


def test_an_unknown_part_is_an_import_error():
    with pytest.raises(ImportError, match=r"torchvision\.nothing"):
        import_torchvision("nothing")
