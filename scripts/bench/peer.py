"""llm-compressor's fastest path without data: peer.py MODEL OUT SCHEME WORKERS.

Like usage.mjs, it leaves what the process used in the file that TENSORPRESS_USAGE names.
"""

import sys

import usage
from llmcompressor import model_free_ptq

model, out, scheme, workers = sys.argv[1:]
model_free_ptq(
    model_stub=model,
    save_directory=out,
    scheme=scheme,
    ignore=["lm_head", "re:.*embed_tokens"],
    max_workers=int(workers),
    device="cpu",
)
usage.leave()
