"""The picked-states loss inside DDP and FSDP2 (a group of one process): the same loss and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed as dist
from tests.helpers.language_models import VOCABULARY, language_model
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from lighten.train.datasets.streams import Streams
from lighten.train.objectives import CausalStream
from lighten.train.objectives.token_loss import token_loss


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    place = tmp_path_factory.mktemp("group") / "store"
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def wrap(model, how: str):
    if how == "ddp":
        return DistributedDataParallel(model)
    body = model.base_model
    for layer in body.encoder.layer if hasattr(body, "encoder") else body.layers:
        fully_shard(layer)
    return fully_shard(model)


def plain(value: torch.Tensor) -> torch.Tensor:
    return value.full_tensor() if isinstance(value, DTensor) else value


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
@pytest.mark.parametrize("kind", ["bert", "llama", "gemma2"])
def test_wrapped_models_get_the_same_gradients(group, kind, how):
    torch.manual_seed(0)
    ids = torch.randint(5, VOCABULARY, (3, 11))
    labels = torch.where(torch.rand(3, 11) < 0.5, ids, -100)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    alone = language_model(kind)
    token_loss(alone, inputs, labels, chunk=4).backward()
    model = language_model(kind)
    wrapped = wrap(model, how)
    for repeat in (1, 2):  # gradients add up over micro-batches
        loss = token_loss(wrapped, inputs, labels, chunk=4)
        loss.backward()
        for (name, value), right in zip(model.named_parameters(), alone.parameters(), strict=True):
            if right.grad is not None:
                assert torch.allclose(plain(value.grad), repeat * right.grad, atol=5e-5), name


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_streams_carry_their_memory_through_a_wrapper(group, how):
    tokens = torch.randint(5, VOCABULARY, (200,), generator=torch.Generator().manual_seed(0)).numpy()
    streams = Streams(tokens, 2, 8)
    alone, model = language_model("llama"), language_model("llama")
    wrapped = wrap(model, how)
    first, second = CausalStream(2, 8, 12), CausalStream(2, 8, 12)
    for number in range(4):
        batch = streams.batch(np.arange(2) + 2 * number)
        wanted, found = first.loss(alone, batch), second.loss(wrapped, batch)
        found.backward()
        assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
