"""One small network trained by Adam and by Muon, then rounded: what each gives up.

`text` makes the corpus, `network` is the model, `rounding` rounds its weights, `run` does it all.
"""
