"""The Inception network: the right weights or none, and the features of the library itself."""

import hashlib
import urllib.error

import pytest
import torch

from eae_core.data import DataCorruptedError, DataUnavailableError, data_root, load_images
from eae_core.evaluation import eight_bit, inception_features
from eae_core.evaluation import inception as module
from eae_core.evaluation.inception import FULL_WEIGHTS, SHORT_WEIGHTS
from eae_core.torchvision_compat import import_torchvision


@pytest.fixture(scope="module")
def weights():
    path = data_root() / "inception" / SHORT_WEIGHTS
    if not path.is_file():
        pytest.skip(f"the Inception weights are not there: {path}")
    return path


@pytest.fixture(scope="module")
def net(weights):
    return inception_features(768, weights=weights, device="cpu", batch_size=3)


@pytest.fixture(scope="module")
def images():
    return load_images("shapes32", limit=4).batch(slice(None))


def test_eight_bit_is_the_inverse_of_loading():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(eight_bit(levels.float() / 255), levels)
    assert torch.equal(eight_bit(levels.double() / 255), levels)
    between = (torch.arange(255) + 0.5) / 255
    assert (eight_bit(between).int() - torch.arange(255)).unique().tolist() == [0, 1]
    assert eight_bit(torch.tensor([-0.3, 1.7])).tolist() == [0, 255]


def test_features_are_the_librarys_on_bytes(net, weights, images):
    import_torchvision("datasets")
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    library = FeatureExtractorInceptionV3("x", ["768"], feature_extractor_weights_path=str(weights))
    expected = library((images * 255).round().byte())[0]
    found = net.features(images)
    assert found.shape == (4, 768)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    # In batches of three and one; convolutions in batches differ in the last digits.
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert (found.mean(0) > 0).all()  # after a rectifier
    assert net.name == "FID-768"


def test_grey_images_are_repeated_and_sizes_are_free(net):
    grey = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert torch.equal(net.features(grey), net.features(grey.expand(1, 3, 28, 28)))
    for shape in ((2, 2, 8, 8), (3, 8, 8)):
        with pytest.raises(ValueError, match="n x 1 or 3"):
            net.features(torch.rand(shape))


def test_autocast_does_not_reach_the_network(net, images):
    expected = net.features(images[:1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(net.features(images[:1]), expected)


def test_checksum_is_of_the_layers_in_use(net, weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    state["fc.bias"] = state["fc.bias"] + 1  # not used by the 768 features
    other = tmp_path / "other.pth"
    torch.save(state, other)
    assert inception_features(768, weights=other, device="cpu").checksum == net.checksum
    state["Mixed_6e.branch_pool.bn.bias"][0] += 1e-3
    torch.save(state, other)
    with pytest.raises(DataCorruptedError, match="does not hold the published weights"):
        inception_features(768, weights=other, device="cpu")


def test_short_weights_are_refused_for_the_long_features(weights):
    with pytest.raises(DataCorruptedError, match=f"for 2048 features(.|\n)*{FULL_WEIGHTS}"):
        inception_features(2048, weights=weights)


def test_found_in_the_data_folder(weights, tmp_path):
    (tmp_path / "inception").mkdir()
    (tmp_path / "inception" / SHORT_WEIGHTS).symlink_to(weights)
    net = inception_features(root=tmp_path, device="cpu", download=False)
    assert (net.name, net.dimension) == ("FID-768", 768)


def test_missing_weights_say_what_to_put_where(tmp_path):
    for dimension in (768, 2048):
        with pytest.raises(DataUnavailableError) as found:
            inception_features(dimension, root=tmp_path, download=False)
        for part in (str(tmp_path / "inception" / FULL_WEIGHTS), "https://", SHORT_WEIGHTS):
            assert part in str(found.value)
    with pytest.raises(DataUnavailableError, match=r"nowhere\.pth"):
        inception_features(768, weights=tmp_path / "nowhere.pth")


def test_without_a_network_there_is_help_and_no_litter(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(module.urllib.request, "urlopen", refuse)
    with pytest.raises(DataUnavailableError, match=f"no route(.|\n)*{FULL_WEIGHTS}"):
        inception_features(2048, root=tmp_path)
    assert not list(tmp_path.rglob("*.p*"))


def test_a_download_of_something_else_is_not_kept(tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    page.write_text("<html>not what was asked for</html>")
    monkeypatch.setattr(module, "FULL_WEIGHTS_URL", page.as_uri())
    with pytest.raises(DataUnavailableError, match="not 6726825d"):
        inception_features(2048, root=tmp_path)
    assert not list(tmp_path.rglob("*.p*th"))


def test_a_download_is_put_in_place(tmp_path, monkeypatch):
    content = tmp_path / "content"
    content.write_bytes(b"weights")
    monkeypatch.setattr(module, "FULL_WEIGHTS_URL", content.as_uri())
    monkeypatch.setattr(module, "_FULL_DIGITS", hashlib.sha256(b"weights").hexdigest()[:8])
    with pytest.raises(DataCorruptedError, match="holds no weights"):  # as they are not
        inception_features(2048, root=tmp_path)
    assert (tmp_path / "inception" / FULL_WEIGHTS).read_bytes() == b"weights"


def test_files_of_something_else(tmp_path):
    path = tmp_path / "weights.pth"
    for content in ([1, 2], {"a": torch.zeros(2)}):
        torch.save(content, path)
        with pytest.raises(DataCorruptedError, match="Put in place"):
            inception_features(768, weights=path)
    path.write_bytes(b"")
    with pytest.raises(DataCorruptedError, match="holds no weights"):
        inception_features(768, weights=path)
    with pytest.raises(ValueError, match="768 or 2048, got 64"):
        inception_features(64)
