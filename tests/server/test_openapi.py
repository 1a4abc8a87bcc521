"""The OpenAPI document: of the models, and of what the interface was documented to be."""

from __future__ import annotations

import json
import os
import re

import pytest
from jsonschema import Draft202012Validator

from mobility.errors import BadInputError
from mobility.server.base import PREFIX
from mobility.server.openapi import description
from mobility.sessions.store import check_creation


@pytest.fixture(scope="module")
def document():
    return description("/")


@pytest.fixture(scope="module")
def documented(project):
    """The document of the interface, kept beside the checkout."""
    file = project.parent / "shared" / "reference" / "seed-api.txt"
    if not file.is_file():
        if os.environ.get("CI"):
            pytest.fail("CI must have the document at ../shared/reference/seed-api.txt")
        pytest.skip("needs the document at ../shared/reference/seed-api.txt")
    return file.read_text(encoding="utf-8")


def resolved(document, schema):
    """A schema without references, and without null beside something else."""
    if "$ref" in schema:
        return resolved(document, document["components"]["schemas"][schema["$ref"].split("/")[-1]])
    if "anyOf" in schema:
        inner = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return resolved(document, inner[0])
    return schema


def shape(document, schema):
    """The names in a schema, as an example shows them: maps by one name of any kind."""
    schema = resolved(document, schema)
    if schema.get("type") == "object" and "properties" in schema:
        return {name: shape(document, each) for name, each in schema["properties"].items()}
    if schema.get("type") == "object":
        return {"ANY_ADDITIONAL_PROPERTY": shape(document, schema["additionalProperties"])}
    if schema.get("type") == "array":
        return [shape(document, schema["items"])]
    return schema.get("type")


def example_shape(value):
    if isinstance(value, dict):
        return {name: example_shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [example_shape(value[0])]
    return {int: "number", str: "string"}[type(value)]


def examples(text):
    """Method, path and answer of each example: the last JSON object before the next request."""
    requests = list(re.finditer(r"^(GET|POST) (\S+) HTTP/1.1$", text, re.MULTILINE))
    ends = [match.start() for match in requests[1:]] + [len(text)]
    for match, end in zip(requests, ends, strict=True):
        rest = text[match.end() : end]
        found = []
        for start in re.finditer(r"^\{$", rest, re.MULTILINE):
            try:
                found.append(json.JSONDecoder().raw_decode(rest, start.start())[0])
            except ValueError:
                continue
            if "Content-Type: application/json" not in rest:
                break
        body = None if "application/json" not in rest else found[0]
        yield match[1].lower(), match[2], body, found[1] if body else found[0]


def test_every_documented_endpoint_is_there(document, documented):
    paths = {(method, path) for method, path, *_ in examples(documented)}
    curl = re.search(r"curl -X (\w+)(?:.|\n)*?https://<backend-link>(\S+)", documented)
    paths.add((curl[1].lower(), curl[2]))
    assert len(paths) == 12 - 1
    for method, path in paths:
        assert method in document["paths"][path], (method, path)


def test_every_answer_has_the_documented_fields(document, documented):
    seen = 0
    for method, path, body, answer in examples(documented):
        operation = document["paths"][path][method]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        ours, theirs = shape(document, schema), example_shape(answer)
        names = fields(theirs)
        assert names <= fields(ours), (path, names - fields(ours))
        if body:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert fields(example_shape(body)) <= fields(shape(document, schema))
        seen += 1
    assert seen == 10


def fields(shape, before=""):
    """Names of all depths; those of maps count as one."""
    if isinstance(shape, list):
        return fields(shape[0], f"{before}[]")
    if not isinstance(shape, dict):
        return {f"{before}:{'number' if shape == 'integer' else shape}"}
    found = set()
    for name, inner in shape.items():
        is_map = name == "ANY_ADDITIONAL_PROPERTY" or name.endswith("_angle")
        found |= fields(inner, f"{before}.{'*' if is_map else name}")
    return found


STATUSES = {
    ("get", "/sessions/{session_id}/"): (200, 400, 401, 403, 404, 500),
    ("post", "/management/sessions/"): (200, 400, 401, 403, 404, 500),
    ("get", "/sessions/{session_id}/export/"): (200, 400, 401, 403, 404, 500),
    ("post", "/sessions/{session_id}/recommendation/"): (200, 401, 403, 404, 500),
    ("post", "/sessions/{session_id}/report/"): (200, 401, 403, 404, 500),
    ("get", "/sessions/{session_id}/summary/"): (200, 401, 403, 404, 500),
    ("post", "/sessions/{session_id}/summary/"): (200, 401, 403, 404, 500),
    ("post", "/sessions/{session_id}/joint-mobility/"): (200, 400, 403, 404, 500),
    ("get", "/sessions/{session_id}/joint-mobility-config/"): (200, 401, 403, 404, 500),
    ("post", "/sessions/{session_id}/joint-mobility-config/"): (200, 400, 401, 403, 500),
}


def test_documented_statuses_and_parameters(document):
    for (method, path), statuses in STATUSES.items():
        operation = document["paths"][f"{PREFIX}{path}"][method]
        assert {str(status) for status in statuses} <= operation["responses"].keys()
    for method, path in (
        *(("get", "/"), ("get", "/export/"), ("post", "/report/"), ("get", "/summary/")),
    ):
        operation = document["paths"][f"{PREFIX}/sessions/{{session_id}}{path}"][method]
        assert "demo" in [each["name"] for each in operation["parameters"]]
    form = document["components"]["schemas"]["CreationForm"]["properties"]
    assert {"user_id", "video", "session_name", "exercise_name", "body_joint_angles"} <= set(form)


@pytest.mark.parametrize(
    ("given", "is_taken"),
    [
        ({"exercise_name": "Overhead Squat"}, True),
        ({"movement": "elbow_flexion"}, True),
        ({"exercise_name": "Joint Angle Mobility", "movement": "elbow_flexion"}, True),
        ({"exercise_name": "Overhead Squat", "movement": "elbow_flexion"}, False),
        ({}, False),
    ],
)
def test_a_movement_excludes_the_squat(document, given, is_taken):
    schemas = document["components"]["schemas"]
    form = {"$ref": "#/components/schemas/CreationForm", "components": {"schemas": schemas}}
    body = {"video": "a film", **given}
    assert Draft202012Validator(form).is_valid(body) == is_taken
    checked = {"user_id": "p", "exercise_name": None, "session_name": None, **given}
    try:
        check_creation(**checked, body_joint_angles=["all"])
    except BadInputError:
        assert not is_taken
    else:
        assert is_taken


def test_it_is_served_to_everybody_and_valid(server, document):
    served = server.ask("GET", "/openapi.json")
    assert served.status_code == 200
    assert served.json() == document
    assert served.json()["openapi"].startswith("3.1")


@pytest.mark.slow
def test_it_is_openapi(document):
    import schemathesis

    schema = schemathesis.openapi.from_dict(document)
    assert len(list(schema.get_all_operations())) == 19
