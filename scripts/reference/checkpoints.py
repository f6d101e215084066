"""Compares the logits of checkpoints of ours with those of transformers, which loads them through compressed-tensors.

    tensorpress eval FOLDER --data rows.json --context 128 --logits FOLDER.safetensors
    python scripts/reference/checkpoints.py rows.json FOLDER ...

rows.json holds {"input_ids": [[...]]}. Everything is in float32: weights are decompressed from their codes and scales before the first
forward pass, and compressed-tensors' hooks quantize inputs, and keys and values of the cache, as config.json asks for.

Printed for each folder: the root of the mean square of the differences between ours and theirs (`rms`) and the largest (`largest`), by the
deviation of their logits; `noise`, the rms by which theirs move when every output of a module is changed by a relative 1e-6: a value on
the edge of rounding flips its code, so where inputs or the cache are quantized, two correct programs differ by about that; the share of
tokens with the same top; perplexity by ours and theirs.

Made with torch 2.13.0 (CPU), transformers 5.18.0, compressed-tensors 0.18.1, Python 3.11.
"""

import json
import math
import sys

import torch
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from safetensors import safe_open
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
torch.set_num_threads(1)
# fp4 codes become bfloat16 there, whatever the dtype of the model
unpack_fp4_from_uint8.__defaults__ = (torch.float32,)


def logits_of(model, row):
    return model(torch.tensor([row]), use_cache=True).logits[0].double()


def perturbed(model):
    """Changes what every module at the end of the tree puts out."""
    random = torch.Generator().manual_seed(0)

    def change(module, args, output):
        return output * (1 + 1e-6 * (2 * torch.rand(output.shape, generator=random) - 1))

    leaves = [m for m in model.modules() if not any(True for _ in m.children()) and isinstance(getattr(m, "weight", None), torch.Tensor)]
    return [leaf.register_forward_hook(change) for leaf in leaves]


def nll(logits, row):
    """Of the tokens of a row but the first, each."""
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(row[1:]))


def rms(x):
    return x.square().mean().sqrt().item()


@torch.no_grad()
def compare(folder, rows):
    with safe_open(folder.rstrip("/") + ".safetensors", "pt") as file:
        ours = [file.get_tensor(f"row{i}").double() for i in range(len(rows))]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    theirs = [logits_of(model, row) for row in rows]
    hooks = perturbed(model)
    moved = [logits_of(model, row) for row in rows]
    for hook in hooks:
        hook.remove()
    a, b, c = (torch.cat(logits) for logits in (ours, theirs, moved))
    return {
        "rms": rms(a - b) / b.std().item(),
        "largest": (a - b).abs().max().item() / b.std().item(),
        "noise": rms(c - b) / b.std().item(),
        "same_top": (a.argmax(-1) == b.argmax(-1)).double().mean().item(),
        "perplexity": [math.exp(sum(map(nll, logits, rows)) / len(rows)) for logits in (ours, theirs)],
    }


if __name__ == "__main__":
    path, *folders = sys.argv[1:]
    with open(path) as file:
        rows = json.load(file)["input_ids"]
    for folder in folders:
        print(folder, json.dumps(compare(folder, rows)))
