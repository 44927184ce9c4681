"""One process of a job: writes the gradients and the parameters of a first step, in both modes.

python tests/gradients.py OUTPUT DEVICES COORDINATOR PROCESSES PROCESS
"""

import sys

import jax
import numpy as np
import test_parallel

from catpose.train import parallel


def main(output, devices, coordinator, count, index):
    jax.config.update("jax_num_cpu_devices", int(devices))
    if int(count) > 1:
        parallel.start(coordinator, int(count), int(index))
    found = {}
    for mode in parallel.MODES:
        gradient, current, _ = test_parallel.trained(mode, **test_parallel.SGD, num_steps=1)
        found |= {f"{mode} gradient {path}": leaf for path, leaf in gradient.items()}
        leaves = test_parallel.leaves(current)
        found |= {f"{mode} state {path}": np.asarray(leaf) for path, leaf in leaves.items()}
    if parallel.is_first():
        np.savez(output, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
