"""llm-compressor's GPTQ on torch's CPU, 4 bits in groups of 64: gptq.py MODEL TOKENS OUT THREADS.

Like usage.mjs, it leaves what the process used in the file that TENSORPRESS_USAGE names.
"""

import json
import sys

import torch
import usage
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import GPTQModifier
from torch.utils.data import DataLoader
from transformers import AutoModelForCausalLM

folder, tokens, out, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
with open(tokens) as file:
    rows = json.load(file)["input_ids"]


def batch(ids):
    ids = torch.tensor(ids)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


class Nothing:
    """oneshot asks for a tokenizer, even where the data are tokens already."""

    def save_pretrained(self, *_):
        pass


weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 64}
oneshot(
    model=AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval(),
    processor=Nothing(),
    recipe=[GPTQModifier(config_groups={"all": {"targets": ["Linear"], "weights": weights}}, ignore=["lm_head"])],
    dataset=DataLoader(rows, batch_size=1, shuffle=False, collate_fn=batch),
    output_dir=out,
    batch_size=1,
    shuffle_calibration_samples=False,
)
usage.leave()
