"""One process of a job: writes the gradients and the parameters of a first step, in both modes.

python tests/support/gradients.py OUTPUT DEVICES COORDINATOR PROCESSES PROCESS
"""

import sys

import jax
import numpy as np
import test_devices

from catpose import devices


def main(output, num_devices, coordinator, count, index):
    jax.config.update("jax_num_cpu_devices", int(num_devices))
    if int(count) > 1:
        devices.start(coordinator, int(count), int(index))
    found = {}
    for mode in devices.MODES:
        gradient, state, _ = test_devices.trained(mode, **test_devices.SGD, num_steps=1)
        found |= {f"{mode} gradient {path}": leaf for path, leaf in gradient.items()}
        leaves = test_devices.leaves(state)
        found |= {f"{mode} state {path}": np.asarray(leaf) for path, leaf in leaves.items()}
    if devices.is_first():
        np.savez(output, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
