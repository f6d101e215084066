"""The same perplexity in transformers on torch's CPU, float32: forward.py MODEL TOKENS THREADS.

Prints tokens per second without the time that loading took, and leaves what the process used in the file that TENSORPRESS_USAGE names.
"""

import json
import sys
import time

import torch
import usage
from transformers import AutoModelForCausalLM
from transformers.utils import logging

folder, tokens, threads = sys.argv[1:]
logging.disable_progress_bar()
torch.set_num_threads(int(threads))
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
with open(tokens) as file:
    rows = [torch.tensor([row]) for row in json.load(file)["input_ids"]]
start = time.perf_counter()
nll = 0.0
with torch.no_grad():
    for row in rows:
        logits = model(row, use_cache=False).logits
        nll += torch.nn.functional.cross_entropy(logits[0, :-1], row[0, 1:], reduction="sum").item()
seconds = time.perf_counter() - start
print(json.dumps({"nll": nll, "tokens_per_second": sum(row.numel() for row in rows) / seconds}))
usage.leave()
