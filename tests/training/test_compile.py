"""torch.compile on request; the compiler itself is torch's business, so the tests do without."""

from functools import partial

import pytest
import torch

from eae_core.training import TrainOptions, fit

# Dynamo looks at .grad of tensors between two compiled pieces, and hides the warning otherwise.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")


@pytest.fixture
def compile_with(monkeypatch):
    original = torch.compile
    yield lambda backend: monkeypatch.setattr(torch, "compile", partial(original, backend=backend))
    torch._dynamo.reset()


def options(**changes):
    return TrainOptions(epochs=2, batch_size=5, device="cpu", progress=False, **changes)


def test_a_compiled_loss_is_the_same_loss(tiny, images, compile_with, tmp_path):
    graphs = []
    compile_with(lambda graph, inputs: graphs.append(graph) or graph.forward)
    plain, compiled = tiny(), tiny()
    fit(plain, images(), options())
    history = fit(compiled, images(), options(compile=True), checkpoint=tmp_path / "a.safetensors")
    assert graphs
    assert history.curve("loss")
    assert plain.state_dict().keys() == compiled.state_dict().keys()
    torch.testing.assert_close(compiled.state_dict(), plain.state_dict())


def test_without_a_compiler_the_error_says_what_to_do(tiny, images, compile_with):
    def broken(graph, inputs):
        raise RuntimeError("No working C++ compiler found")

    compile_with(broken)
    with pytest.raises(
        RuntimeError, match=r"needs a C\+\+ compiler .* compile=False\. It said: "
    ) as e:
        fit(tiny(), images(), options(compile=True))
    assert "No working C++ compiler found" in str(e.value)
    assert "\n" not in str(e.value)
