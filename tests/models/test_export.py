"""Encoder and decoder written for other programs, and what they compute there."""

import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

import eae_book.constraints  # noqa: F401 (makes them known by name)
from eae_core.models import AE, MODELS, EAEOptions, build_model
from eae_core.models.export import ExportError, export_model

CONSTRAINTS = ("batch_norm", "l1_norm", "unit_mean", "box", "sphere")


def model_of(constraint, shape=(1, 8, 8)):
    torch.manual_seed(0)
    options = EAEOptions(constraint=constraint)
    model = build_model("eae", shape, 3, width=2, options=options)
    for _ in range(3):
        model.loss(torch.rand(20, *shape))  # moments of its own
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_programs_of_torch_take_any_batch(constraint, tmp_path):
    model = model_of(constraint)
    encoder, decoder = export_model(model, tmp_path, "torch")
    with torch.no_grad():
        for n in (1, 3, 10):  # none of the sizes it was exported with
            x, z = torch.rand(n, 1, 8, 8), torch.randn(n, 3)
            run = [torch.export.load(path).module() for path in (encoder, decoder)]
            torch.testing.assert_close(run[0](x), model.encode(x))
            torch.testing.assert_close(run[1](z), model.decode(z))


class Part(torch.nn.Module):
    """One direction of a model."""

    def __init__(self, model, direction):
        super().__init__()
        self.model, self.direction = model, direction

    def forward(self, x):
        return getattr(self.model, self.direction)(x)


# Export takes a second each; the networks of the other models are those of the first of these.
EXPORTED = ("eae", "rae_sn", "two_stage_vae")
WAYS = [(name, "trace") for name in MODELS] + [
    pytest.param(
        name, "export", marks=pytest.mark.slow if name in EXPORTED else pytest.mark.regress
    )
    for name in MODELS
]


@pytest.mark.filterwarnings("ignore:`torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize(("name", "how"), WAYS)
def test_every_model_keeps_the_number_of_rows_open(name, how):
    model = build_model(name, (1, 8, 8), 3, width=2).eval()
    for direction, shape in (("encode", (1, 8, 8)), ("decode", (3,))):
        part = Part(model, direction).eval()
        if how == "trace":
            exported = torch.jit.trace(part, torch.rand(6, *shape))
        else:
            rows = ({0: torch.export.Dim("rows")},)
            program = torch.export.export(part, (torch.rand(6, *shape),), dynamic_shapes=rows)
            exported = program.module()
        x = torch.rand(10, *shape)
        torch.testing.assert_close(exported(x), part(x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 8, 8), (5,)])
def test_onnx_takes_any_batch(shape, tmp_path):
    model = model_of("batch_norm", shape)
    files = export_model(model, tmp_path, "onnx")
    parts = (model.encode, model.decode)
    for path, part, inputs in zip(files, parts, (shape, (3,)), strict=True):
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        for n in (1, 7):
            x = torch.rand(n, *inputs)
            (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
            with torch.no_grad():
                torch.testing.assert_close(torch.from_numpy(found), part(x), atol=1e-5, rtol=1e-4)


def test_weights_carry_the_names_of_the_networks(tmp_path):
    model = model_of("batch_norm")
    model.train()
    for path, network in zip(
        export_model(model, tmp_path, "safetensors"), (model.encoder, model.decoder), strict=True
    ):
        weights, own = load_file(path), network.state_dict()
        assert weights.keys() == own.keys()
        assert all(torch.equal(weights[name], own[name]) for name in own)
    assert model.training


class Forgetful(AE):
    """A model that computes something else as soon as it is asked a second time."""

    asked = 0

    def encode(self, x):
        self.asked += 1
        return super().encode(x) + self.asked


class Fixed(AE):
    """A decoder that knows batches of one size only."""

    def decode(self, z):
        return super().decode(z.reshape(2, -1)).expand(len(z), -1, -1, -1)


@pytest.mark.parametrize(
    ("kind", "message"),
    [(Forgetful, "gives other numbers than the model"), (Fixed, "cannot be written to")],
)
def test_what_is_not_the_model_is_not_done(kind, message, tmp_path):
    plain = build_model("ae", (1, 8, 8), 2, width=1)
    model = kind(plain.encoder, plain.decoder, 2)
    model.config = plain.config
    with pytest.raises(ExportError, match=message):
        export_model(model, tmp_path, "safetensors" if kind is Forgetful else "torch")
    assert not list(tmp_path.glob("*coder" if kind is Forgetful else "decoder*"))


def test_formats_that_are_none(tmp_path):
    model = build_model("ae", (1, 8, 8), 2, width=1)
    with pytest.raises(ValueError, match="choose from onnx, torch, safetensors, got"):
        export_model(model, tmp_path, "jit")
    with pytest.raises(ValueError, match="got none"):
        export_model(model, tmp_path)
