"""Every request of the reference runs as its curl line says, and is answered as the reference says.

After a change of what is answered:

    python -m tests.reference.test_examples
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from relay.reference import NOUNS
from relay.reference.recorded import FOLDER
from relay.reference.vocabulary import Noun
from tests import tools
from tests.harness import ADDRESS, Relay
from tests.reference.shapes import problems, shape_of
from tests.reference.story import LOST_EPOCH, SHORT_MAIL, steady, story

pytestmark = pytest.mark.anyio


async def frames(relay: Relay) -> dict[str, Any]:
    """One frame of each kind."""
    seen = {}
    async with relay.listen(frames="envelope") as socket:
        seen["listening"] = await socket.message()
        await relay.post(SHORT_MAIL, ADDRESS)
        seen["email"] = await socket.message()
    async with relay.listen() as socket:
        await relay.post(SHORT_MAIL, ADDRESS)
        seen["message"] = await socket.message()
    lost = seen["message"]["_id"].replace(seen["message"]["_id"][10:16], LOST_EPOCH)
    async with relay.listen(since=lost) as socket:
        seen["gap"] = await socket.message()
    async with connect(relay.socket_url(key="a-guess", addresses=ADDRESS), proxy=None) as refused:
        seen["refusal"] = json.loads(await refused.recv())
    return {name: steady(frame) for name, frame in sorted(seen.items())}


async def record() -> None:
    """Writes relay/reference/answers/."""
    FOLDER.mkdir(exist_ok=True)
    for noun in NOUNS:
        with tempfile.TemporaryDirectory() as folder:
            async with story(Path(folder)) as told:
                _write(noun.name, await told.answers(noun))
    with tempfile.TemporaryDirectory() as folder:
        async with story(Path(folder)) as told:
            _write("frames", await frames(told.relay))


def _write(name: str, answers: dict[str, Any]) -> None:
    path = FOLDER / f"{name}.json"
    path.unlink(missing_ok=True)
    if answers:
        path.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n")


def recorded(name: str) -> Any:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)
async def test_every_example_is_answered_as_it_stands_there(noun: Noun, tmp_path: Path) -> None:
    tools.CURL.need()  # the examples are its lines
    async with story(tmp_path) as told:
        assert await told.answers(noun) == recorded(noun.name)


async def test_every_frame_is_as_it_stands_there(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        assert await frames(told.relay) == recorded("frames")


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)
def test_every_answer_has_its_shape(noun: Noun) -> None:
    known = recorded(noun.name)
    for operation in noun.operations:
        for example in operation.examples:
            answer = known[operation.id][example.name]
            shape = shape_of(operation, answer["status"], answer["media_type"])
            if shape is not None:
                assert not problems(shape, answer["body"]), f"{operation.id}, {example.name}"


def test_no_answer_is_of_an_example_that_is_gone() -> None:
    names = {path.stem for path in FOLDER.iterdir()}
    assert names == {noun.name for noun in NOUNS if any(one.examples for one in noun.operations)} | {"frames"}
    for noun in NOUNS:
        examples = {one.id: {example.name for example in one.examples} for one in noun.operations if one.examples}
        assert {one: set(answers) for one, answers in recorded(noun.name).items()} == examples


if __name__ == "__main__":
    asyncio.run(record())
