"""What a model can be: architectures as columns, number formats, reference models, spaces."""

from arch_space.architectures import Architectures, concatenate

__all__ = ["Architectures", "concatenate"]
