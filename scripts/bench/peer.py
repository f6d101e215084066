"""llm-compressor's fastest path without data: peer.py MODEL OUT SCHEME WORKERS.

Like usage.mjs, it leaves what the process used in the file that TENSORPRESS_USAGE names.
"""

import json
import os
import resource
import sys

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
used = resource.getrusage(resource.RUSAGE_SELF)
with open(os.environ["TENSORPRESS_USAGE"], "w") as file:
    usage = {
        "maxRSS": used.ru_maxrss,
        "userCPUTime": used.ru_utime * 1e6,
        "systemCPUTime": used.ru_stime * 1e6,
    }
    json.dump(usage, file)
