"""A proposer behind any OpenAI-compatible endpoint (extra `agent`).

The key is read from the environment when the client is made, is held by the client alone, and goes
nowhere else: no message of the server or the client, which might repeat it, is passed on.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
from pydantic import Field

from roofline.graphs.files import GraphFile, as_json, parse_graph, sentence
from roofline.graphs.graph import Graphs, stack, widened
from roofline.graphs.search.agent import NoProposal, Proposal, outwards
from spec_files import SpecError, short, validate_spec
from spec_files.model import Spec

if TYPE_CHECKING:
    from openai import OpenAI

    from roofline.graphs.search.agent import State

Array = np.ndarray

KEY = "OPENAI_API_KEY"
TIME_OUT = 60.0
TRIES = 2
MOST_TOKENS = 4000

INSTRUCTIONS = """\
You design graphs of language models that answer a task together. A node is a model in a role: an
assistant answers, a fuser revises the answers that it reads. An edge [a, b] puts a's answer into
b's prompt. The sink, which is fixed, decides. Rules: no cycle; at least one assistant; a fuser
reads at least one assistant and no fuser; every node reaches the sink; the cost stays within the
budget. Tasks prefer different models and sizes; width and depth each have an optimum between the
ends, and the best depth falls as width grows. Grow from the sink outwards.

You get the last two rounds' graphs with their scores and a table of edge probabilities over places
(the largest number is next to the sink). Answer with one JSON object and nothing else:
{"graphs": [{"nodes": [{"name": "1", "role": "assistant", "model": "..."}, {"name": "sink",
"role": "sink", "model": "..."}], "edges": [["1", "sink"]]}],
"probabilities": [{"from": "4", "to": "sink", "probability": 0.8}]}
Raise only edges that were in graphs that scored above the mean."""


class Edge(Spec):
    """One entry of the table: places by number from 1, the sink by its name."""

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    probability: float = Field(ge=0, le=1)


class Answer(Spec):
    """What a model answers."""

    graphs: tuple[GraphFile, ...] = Field(max_length=20)
    probabilities: tuple[Edge, ...] = ()


@dataclass(eq=False)
class Endpoint:
    """Asks a language model for the next graphs.

    url: of the endpoint, as in http://localhost:8000/v1. model: its name there. time_out: seconds
    for one answer. key: the environment's variable that holds the key; servers without keys need
    none. An answer that cannot be used is said to be so and asked for once more.
    """

    url: str
    model: str
    time_out: float = TIME_OUT
    key: str = KEY
    name: str = "endpoint"
    _client: OpenAI | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the address and make the client; SpecError where either cannot be."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SpecError(
                "--endpoint: write an address as in http://localhost:8000/v1"
                + ("" if "@" in self.url else f", not {short(self.url)}")
            )
        if parts.username or parts.password or parts.query:
            raise SpecError(
                f"--endpoint: the address holds a user, a password or a query; give the key in the "
                f"environment, as {self.key}"
            )
        if not re.fullmatch(r"[A-Za-z_]\w*", self.key):  # it may be the key itself: not repeated
            raise SpecError("--key-variable: write the name of an environment variable")
        if not self.model:
            raise SpecError("--endpoint: name its model with --endpoint-model")
        try:
            import openai
        except ImportError:
            raise SpecError("--endpoint needs its client: pip install 'roofline[agent]'") from None
        self._client = openai.OpenAI(
            base_url=self.url,
            api_key=os.environ.get(self.key) or "none",
            timeout=self.time_out,
            max_retries=0,
        )

    def propose(self, state: State, rng: np.random.Generator) -> Proposal:
        """Ask, and once more where the answer is of no use; raise NoProposal after that."""
        talk = [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": json.dumps(_told(state))},
        ]
        wrong = ""
        for _ in range(TRIES):
            text = self._ask(talk)
            try:
                return _proposal(text, state)
            except SpecError as error:
                wrong = str(error)
                talk += [
                    {"role": "assistant", "content": text},
                    {"role": "user", "content": f"That cannot be used: {wrong} Answer again."},
                ]
        raise self._failure(f"its answers cannot be used: {wrong}")

    def _ask(self, talk: list[dict[str, str]]) -> str:
        import openai

        try:
            return within(self.time_out, lambda: self._complete(talk))
        except TimeoutError:
            raise self._failure(f"no answer within {self.time_out:g} s") from None
        except openai.APITimeoutError:
            raise self._failure(f"no answer within {self.time_out:g} s") from None
        except openai.APIConnectionError:
            raise self._failure("nobody answers there") from None
        except openai.APIStatusError as refused:
            raise self._failure(f"it refuses with status {refused.status_code}") from None
        except Exception as error:  # whatever a server sends that no client expects
            raise self._failure(
                f"it answers with what is no completion ({type(error).__name__})"
            ) from None

    def _complete(self, talk: list[dict[str, str]]) -> str:
        assert self._client is not None
        # Any: the client's own message types are there only where its extra is installed.
        messages: Any = talk
        answer = self._client.chat.completions.create(
            model=self.model,
            messages=messages,
            temperature=0.7,
            max_tokens=MOST_TOKENS,
        )
        return str(answer.choices[0].message.content or "")

    def _failure(self, what: str) -> NoProposal:
        secret = os.environ.get(self.key)
        said = f"endpoint {self.url}: {what}"
        said = said.replace(secret, "...") if secret else said
        return NoProposal(f"{said.rstrip('.')}.")


def within(seconds: float, ask: Callable[[], str]) -> str:
    """Return what a call returns; TimeoutError after some seconds, however it trickles.

    The client's own time-out starts anew with every byte.
    """
    heard: list[str] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            heard.append(ask())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not heard:
        raise TimeoutError
    return heard[0]


def _told(state: State) -> dict[str, Any]:
    """What a proposer is told, as JSON."""
    problem, last = state.problem, state.last
    table = state.policy.edge_probabilities()
    names = [*(str(place + 1) for place in range(problem.nodes)), "sink"]
    pool = problem.pool
    costs = problem.cost(last.graphs)
    return {
        "task": problem.task.title,
        "models": {
            name: {"accuracy alone": problem.task.accuracy.get(name)}
            for name in pool.names[: pool.choices]
        },
        "sink": pool.names[pool.sink],
        "budget": problem.say(problem.budget),
        "most nodes": problem.nodes,
        "graphs wanted": state.batch,
        "rounds": [
            as_json(last.graphs, pool, row)
            | {"score": round(float(last.scores[row]), 4), "cost": problem.say(float(costs[row]))}
            for row in range(len(last.graphs))
        ],
        "best": as_json(state.best[0], pool) | {"score": round(state.best[1], 4)},
        "probabilities": [
            {"from": names[i], "to": names[j], "probability": round(float(table[i, j]), 3)}
            for i, j in zip(*np.triu_indices(len(names), 1), strict=True)
        ],
    }


def _proposal(text: str, state: State) -> Proposal:
    """Read an answer; SpecError says why it is of no use."""
    start, end = text.find("{"), text.rfind("}")
    try:
        data = json.loads(text[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise SpecError(f"the answer is no JSON object: {short(text)}.")
    said = validate_spec(data, Answer, "the answer")
    problem = state.problem
    names = [*(str(place + 1) for place in range(problem.nodes)), "sink"]
    wanted = state.policy.edge_probabilities()
    for edge in said.probabilities:
        if edge.source not in names or edge.target not in names:
            raise SpecError(
                f"the answer: a probability of places {edge.source!r} and {edge.target!r}; "
                f"they are 1 to {problem.nodes} and sink."
            )
        source, target = names.index(edge.source), names.index(edge.target)
        if source >= target:
            raise SpecError(f"the answer: place {edge.source!r} is not before {edge.target!r}.")
        wanted[source, target] = edge.probability
    graphs = [_checked(each, state) for each in data["graphs"]]
    fresh = [each for each in graphs if sentence(each, problem.pool) not in state.seen]
    if not fresh and not said.probabilities:
        raise SpecError("the answer: no graph that was not scored already, and no probability.")
    kept = stack(fresh) if fresh else state.best[0][:0]
    return Proposal(kept, state.policy.with_edge_probabilities(wanted))


def _checked(data: object, state: State) -> Graphs:
    """One graph of an answer, in places; SpecError where it breaks a rule or the budget."""
    problem = state.problem
    graph = parse_graph(data, problem.pool, "the answer")
    if graph.places > problem.places:
        raise SpecError(f"the answer: a graph of {graph.places - 1} nodes; most {problem.nodes}.")
    cost = float(problem.cost(graph)[0])
    if not problem.fits(graph)[0]:
        takes = problem.say(cost) if np.isfinite(cost) else "more memory than there is"
        raise SpecError(
            f"the answer: a graph takes {takes}; the budget is {problem.say(problem.budget)}."
        )
    return outwards(widened(graph, problem.places))
