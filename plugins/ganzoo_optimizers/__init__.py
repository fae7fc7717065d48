"""The usual optimizers; their settings are `Adam`, `AdamW`, `RMSprop` and `SGD` of `ganzoo.specs`."""

from __future__ import annotations

from ganzoo.deferred import deferred
from ganzoo.specs import SGD, Adam, AdamW, OptimizerSpec, RMSprop

ADAM = OptimizerSpec(
    name="adam",
    summary="steps along the running mean of the gradient, divided by its running root mean square",
    paper="Kingma and Ba 2014, arXiv:1412.6980, algorithm 1",
    config=Adam,
    build=deferred("ganzoo_optimizers.adam:FusedAdam"),
)

ADAMW = OptimizerSpec(
    name="adamw",
    summary="Adam whose weight decay does not pass through the running means",
    paper="Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2",
    config=AdamW,
    build=deferred("ganzoo_optimizers.adam:FusedAdamW"),
)

RMSPROP = OptimizerSpec(
    name="rmsprop",
    summary="steps along the gradient, divided by its running root mean square",
    paper="Tieleman and Hinton 2012, lecture 6.5 of Neural Networks for Machine Learning",
    config=RMSprop,
    build=deferred("ganzoo_optimizers.momentum:ElementaryRMSprop"),
)

GRADIENT_DESCENT = OptimizerSpec(
    name="sgd",
    summary="gradient descent, with optional momentum",
    paper="Sutskever et al. 2013, On the importance of initialization and momentum in deep learning",
    config=SGD,
    build=deferred("ganzoo_optimizers.momentum:ElementarySGD"),
)
