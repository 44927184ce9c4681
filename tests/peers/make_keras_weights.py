"""Write a ResNet-50 of Keras with random weights, and its logits, into a folder.

    KERAS_BACKEND=jax python tests/peers/make_keras_weights.py DIR

tests/test_pretrained.py runs this in a process of its own: Keras chooses its backend for good when
it is imported. Left in DIR: resnet.h5 (legacy), resnet.weights.h5 (Keras 3), resnet.npz (one array
per variable, by name) and logits.npz (image, logits).
"""

import pathlib
import sys

import keras
import numpy as np


def main():
    folder = pathlib.Path(sys.argv[1])
    generator = np.random.default_rng(0)
    model = keras.applications.ResNet50(
        weights=None, input_shape=(64, 64, 3), classes=5, classifier_activation=None
    )
    arrays = {}
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name in ("moving_variance", "gamma"):
                variable.assign(generator.uniform(0.5, 1.5, variable.shape))
            elif variable.name != "kernel":
                variable.assign(generator.uniform(-0.3, 0.3, variable.shape))
            arrays[f"{layer.name}/{variable.name}"] = np.asarray(variable)
    image = generator.normal(size=(2, 64, 64, 3)).astype(np.float32)
    np.savez(folder / "logits.npz", image=image, logits=model.predict(image, verbose=0))
    np.savez(folder / "resnet.npz", **arrays)
    model.save_weights(folder / "resnet.weights.h5")
    model.save(folder / "resnet.h5")


if __name__ == "__main__":
    main()
