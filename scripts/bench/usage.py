"""What a process used, for the bench: `leave()` writes it to the file that TENSORPRESS_USAGE names, as usage.mjs does."""

import json
import os
import resource


def leave():
    used = resource.getrusage(resource.RUSAGE_SELF)
    usage = {"maxRSS": used.ru_maxrss, "userCPUTime": used.ru_utime * 1e6, "systemCPUTime": used.ru_stime * 1e6}
    with open(os.environ["TENSORPRESS_USAGE"], "w") as file:
        json.dump(usage, file)
