"""Distil a teacher into the model.

    supervised   L(N, D) = E + (A / N^alpha + B / D^beta)^gamma
    student      L_S = L_T + L_T^-c0 (1 + (L_T / (L~_S d1))^(1 / f1))^(-c1 f1)
                       (A' / N_S^alpha' + B' / D_S^beta')^gamma'

Both of arXiv 2502.08606 (Busbridge et al., February 2025). The coefficients of the student law
could not be verified: it is used where they are supplied, and for a student trained from scratch,
as its runs were. Otherwise the supervised law says what the same tokens would give without a
teacher, more of them for a pretrained model; what the teacher adds to that nobody has published a
law of.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator

from arch_space.library import load_model
from arch_space.tensors import parameter_count
from roofline.compression.steps.lora import TOKENS
from roofline.compression.steps.step import Step, count, counted
from roofline.compression.subject import Effect, Subject, forward_flops
from roofline.degradation import tables
from spec_files import SpecError
from spec_files.model import Spec

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class StudentLaw(Spec):
    """Coefficients of the student law of arXiv 2502.08606, supplied."""

    c0: Positive
    """Power of the teacher's loss."""
    c1: Positive
    """With f1, the power of the bracket."""
    d1: Positive
    """Ratio of the losses of teacher and student at which the bracket turns."""
    f1: Positive
    """How gradually it turns."""
    a: Positive
    """Scale of the term of size."""
    alpha: Positive
    """Power of the student's size."""
    b: Positive
    """Scale of the term of data."""
    beta: Positive
    """Power of the tokens distilled on."""
    gamma: Positive
    """Power of both terms together."""

    def at(self, teacher: float, supervised: float, size: float, tokens: float) -> float:
        """Return the student's loss.

        teacher: loss of the teacher; supervised: of the student without one; size: the student's
        parameters without embeddings; tokens: distilled on.
        """
        ratio = (teacher / (supervised * self.d1)) ** (1 / self.f1)
        gap = (1 + ratio) ** (-self.c1 * self.f1)
        data = (self.a * size**-self.alpha + self.b * tokens**-self.beta) ** self.gamma
        return teacher + teacher**-self.c0 * gap * data


class Distil(Step):
    """Train on a teacher's logits."""

    word: ClassVar[str] = "distil"
    example: ClassVar[str] = "distil:llama-3.1-70b:1.2M"

    teacher: str
    """A reference model, by name or path."""
    tokens: float = TOKENS
    """Tokens that the student sees, D_S."""
    start: Literal["pretrained", "scratch"] = "pretrained"
    """Whether the student begins trained, or with random weights."""
    logits: bool = True
    """Whether the teacher's forward passes are paid for (delta_logits)."""
    pretrain: bool = False
    """Whether the teacher's own training is paid for (delta_pretrain)."""
    teacher_tokens: float | None = None
    """Tokens that the teacher was trained on, D_T, where they are not known here."""
    student: StudentLaw | None = None
    """For a start from scratch; without it the supervised law says what the tokens alone give."""

    @field_validator("tokens", "teacher_tokens", mode="before")
    @classmethod
    def _tokens(cls, given: object) -> float | None:
        return None if given is None else count(str(given), "tokens")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.student is not None and self.start != "scratch":
            raise SpecError(
                "the student law is of students trained from scratch: write start: scratch",
                ("student",),
            )
        return self

    @classmethod
    def fields_of(cls, words: list[str]) -> dict[str, Any]:
        """`distil:TEACHER[:TOKENS]`."""
        cls.too_many(words, 2)
        return dict(zip(("teacher", "tokens"), words, strict=False))

    def effect(self, subject: Subject) -> Effect:
        """Return the change of the loss; the cost of training is `roofline.compression.training`'s.

        Raises SpecError for a teacher smaller than the student, or of another vocabulary.
        """
        teacher = load_model(self.teacher)
        size = float(parameter_count(teacher.as_float())[0]) / 1e9
        student = subject.arch.names[0]
        if size < subject.parameters:
            raise SpecError(
                f"distil:{self.teacher}: the teacher has {size:.3g}B parameters and the student "
                f"{student} {subject.parameters:.3g}B; a teacher is no smaller than its student"
            )
        rows = int(teacher.vocabulary[0]), int(subject.arch.vocabulary[0])
        if rows[0] != rows[1]:
            raise SpecError(
                f"distil:{self.teacher}: its logits are over {rows[0]} tokens and those of "
                f"{student} over {rows[1]}; a teacher shares the student's vocabulary"
            )
        trained = 1e12 * (subject.tokens or tables.model("L3-8B").tokens)
        matrices = subject.matrix_parameters
        law = subject.law.at
        before = float(law(matrices, trained))
        notes = [
            f"distillation: law {subject.law.name} for the same tokens; what the teacher adds has "
            "no published law"
        ]
        if self.tokens == TOKENS:
            notes.append(f"{counted(TOKENS)} tokens of distillation are an assumption")
        if self.start == "pretrained":
            after = float(law(matrices, trained + self.tokens))
        elif self.student is None:
            after = float(law(matrices, self.tokens))
        else:
            of_teacher = Subject(teacher, None, subject.law)
            learned = self.tokens_of_teacher()
            reached = float(law(of_teacher.matrix_parameters, learned))
            alone = float(law(matrices, self.tokens))
            with np.errstate(over="ignore"):
                numbers = map(np.float64, (reached, alone, matrices, self.tokens))
                after = float(self.student.at(*numbers))
            if not 0 < after <= np.log(rows[1]):
                raise SpecError(
                    f"distil:{self.teacher}: the student law gives a loss of {after:g} nats with "
                    f"these coefficients; a guess among {rows[1]} tokens has {np.log(rows[1]):.1f}"
                )
            notes = ["student law with coefficients of the user's"]
        low, high = sorted((after - before, 0.0)) if self.start == "pretrained" else (np.nan,) * 2
        change = after - before
        if self.start == "scratch":
            low = high = change
            notes.append("no error is known of that law")
        return Effect({}, change, low, high, notes=tuple(notes))

    def tokens_of_teacher(self) -> float:
        """Return the tokens that the teacher was trained on; SpecError where unknown."""
        if self.teacher_tokens is not None:
            return self.teacher_tokens
        name = load_model(self.teacher).names[0]
        if name not in tables.trained():
            raise SpecError(f"training tokens of teacher {name!r} are not known: teacher_tokens")
        return 1e12 * tables.trained()[name].tokens

    def teacher_flops(self) -> float:
        """Return F(N_T) (delta_logits D_S + delta_pretrain 3 D_T)."""
        tokens = self.tokens * self.logits
        if self.pretrain:
            tokens += 3 * self.tokens_of_teacher()
        return forward_flops(load_model(self.teacher)) * tokens

    def __str__(self) -> str:
        words = ["distil", self.teacher]
        if self.tokens != TOKENS:
            words.append(counted(self.tokens))
        return ":".join(words)
