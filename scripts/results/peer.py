"""One recipe by llm-compressor on torch's CPU: peer.py MODEL RECIPE TOKENS SAMPLES OUT THREADS.

SAMPLES rows of TOKENS are calibration data, in their order; with 0 the recipe needs none. For the bench, what the process used is left in the file
that TENSORPRESS_USAGE names.
"""

import json
import os
import sys

import torch
from llmcompressor import oneshot
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM

folder, recipe, tokens, samples, out, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
with open(tokens) as file:
    rows = json.load(file)["input_ids"][: int(samples)]


def batch(ids):
    ids = torch.tensor(ids)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


class Nothing:
    """oneshot asks for a tokenizer, even where the data are tokens already."""

    def save_pretrained(self, *_):
        pass


data = {"dataset": DataLoader(rows, batch_size=1, shuffle=False, collate_fn=batch), "shuffle_calibration_samples": False} if rows else {}
oneshot(
    model=AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval(),
    processor=Nothing(),
    recipe=recipe,
    output_dir=out,
    **data,
)
if "TENSORPRESS_USAGE" in os.environ:
    sys.path.append(os.path.join(os.path.dirname(__file__), "../bench"))
    import usage

    usage.leave()
