"""The endpoints in one table, and the OpenAPI 3.1 document made from it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import mobility
from mobility.documents import contract
from mobility.serve import creation_endpoints, document_endpoints, participant_endpoints
from mobility.serve import creation_endpoints as states
from mobility.serve import document_endpoints as media_endpoints
from mobility.serve import participant_endpoints as visit_endpoints
from mobility.serve.access import Caller
from mobility.serve.handler import PREFIX, Handler
from mobility.serve.http_documents import (
    ID,
    ConfigBody,
    CreationFault,
    CreationForm,
    CreationFormForOthers,
    SessionState,
    ThreadIds,
)
from mobility.sessions import record

SESSION = f"{PREFIX}/sessions/{{session_id}}"
PARTICIPANT = f"{PREFIX}/participants/{{user_id}}"


_ALWAYS = (400, 401, 429, 500, 507)
_OF_ONE = (*_ALWAYS, 403, 404)


@dataclass(frozen=True)
class Endpoint:
    """An endpoint: one method of one path."""

    method: Literal["get", "post", "delete"]
    path: str
    handler: type[Handler]
    summary: str
    answers: type[BaseModel] | tuple[str, ...] | None
    """Model of the response, or its content types; None for a response without content."""
    statuses: tuple[int, ...] = _OF_ONE
    """Statuses of errors."""
    body: type[BaseModel] | None = None
    demo: bool = False
    system: bool = False
    """Whether a measurement system can be chosen."""
    matched: bool = False
    """Whether the request can require that nobody else has changed the document since it was read.
    """
    listed: bool = False
    """Whether the response is a list of the model."""
    signed: bool = False
    """Whether a signed address can be used instead of a key."""

    @property
    def parameters(self) -> frozenset[str]:
        """Names of the query parameters."""
        named = {"demo": self.demo, "system": self.system, "media_key": self.signed}
        return frozenset(name for name, may_be_given in named.items() if may_be_given)


class Description(Handler):
    """The OpenAPI document."""

    async def authenticated(self) -> Caller:
        """Accept everybody, because the document contains no personal data."""
        return Caller(f"reader {self.request.remote_ip}", "participant", None)

    async def get(self) -> None:
        """Respond with the document."""
        self.finish_json(description(f"{self.base_url.rstrip('/')}/"))


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        *("get", f"{SESSION}/", document_endpoints.Details, "Details of a session"),
        contract.SessionDocument,
        demo=True,
    ),
    Endpoint(
        *("post", f"{PREFIX}/management/sessions/", creation_endpoints.CreationForOthers),
        "Add a video as a session of another user",
        contract.Creation,
        (*_OF_ONE, 408, 409, 413),
        body=CreationFormForOthers,
    ),
    Endpoint(
        *("post", f"{PREFIX}/sessions/", creation_endpoints.Sessions),
        "Add a video as your own session",
        contract.Creation,
        (*_OF_ONE, 408, 409, 413),
        body=CreationForm,
    ),
    Endpoint(
        *(
            "get",
            f"{SESSION}/export/",
            document_endpoints.Export,
            "Landmarks and angles of a session",
        ),
        contract.ExportDocument,
        demo=True,
    ),
    Endpoint(
        *("post", f"{SESSION}/recommendation/", document_endpoints.Recommendation),
        "Make recommendation threads",
        ThreadIds,
        (*_OF_ONE, 409, 413),
        system=True,
    ),
    Endpoint(
        *("post", f"{SESSION}/report/", document_endpoints.Report, "Report of the repetitions"),
        contract.ReportDocument,
        (*_OF_ONE, 413),
        demo=True,
    ),
    Endpoint(
        *(
            "get",
            f"{SESSION}/summary/",
            document_endpoints.Summary,
            "Summary of the repetitions",
        ),
        contract.SummaryDocument,
        demo=True,
    ),
    Endpoint(
        *("post", f"{SESSION}/summary/", document_endpoints.Summary, "Make summary threads"),
        ThreadIds,
        (*_OF_ONE, 409, 413),
        system=True,
    ),
    Endpoint(
        *("post", f"{SESSION}/joint-mobility/", document_endpoints.JointMobility),
        "Report of single-joint range of motion",
        contract.JointMobilityDocument,
        (*_OF_ONE, 413),
        demo=True,
    ),
    Endpoint(
        *("get", f"{SESSION}/joint-mobility-config/", document_endpoints.Config),
        "Display settings of a single-joint session",
        record.DisplayConfig,
    ),
    Endpoint(
        *("post", f"{SESSION}/joint-mobility-config/", document_endpoints.Config),
        "Save display settings",
        record.DisplayConfig,
        (*_OF_ONE, 409, 413),
        body=ConfigBody,
        matched=True,
    ),
    # The following endpoints are not part of the documented interface.
    Endpoint(
        *(
            "get",
            f"{PREFIX}/sessions/",
            creation_endpoints.Sessions,
            "The sessions that the caller may see",
        ),
        SessionState,
        _ALWAYS,
        listed=True,
    ),
    Endpoint(
        *(
            "get",
            f"{SESSION}/checks/",
            document_endpoints.Checks,
            "Results of the rules of a session",
        ),
        contract.Check,
        demo=True,
        listed=True,
    ),
    Endpoint(
        *("delete", f"{SESSION}/", document_endpoints.Details, "Delete a session permanently"),
        None,
        (*_OF_ONE, 409),
    ),
    Endpoint(*("get", f"{SESSION}/state/", states.State, "State of a session"), SessionState),
    Endpoint(
        *("get", f"{SESSION}/recording-check/", states.RecordingCheck),
        "First look at the video of a session: whether it is good",
        contract.RecordingCheck,
    ),
    Endpoint(
        *("post", f"{SESSION}/state/", states.State, "Queue another analysis"),
        SessionState,
        (*_OF_ONE, 409, 413),
    ),
    Endpoint(
        *("get", f"{SESSION}/media/{{name}}", media_endpoints.Media),
        "A video or picture of a session; ranges are supported",
        ("video/*", "image/*", "text/html", "application/octet-stream"),
        (*_OF_ONE, 416),
        demo=True,
        signed=True,
    ),
    Endpoint(
        *(
            "get",
            f"{SESSION}/still/",
            media_endpoints.Still,
            "A small picture of a session, for lists",
        ),
        ("image/jpeg",),
    ),
    Endpoint(
        *("get", f"{PARTICIPANT}/visits/{{date}}/", visit_endpoints.Visit),
        "A visit: the sessions of a participant on one day, merged",
        contract.ServedVisit,
    ),
    Endpoint(
        *("get", f"{PARTICIPANT}/visits/{{date}}/{{name}}", visit_endpoints.Page),
        "The page of a visit",
        ("text/html",),
        signed=True,
    ),
    Endpoint(
        *("get", f"{PARTICIPANT}/export/", participant_endpoints.ParticipantExport),
        "Everything that is stored about a participant",
        ("application/zip",),
    ),
    Endpoint(
        *("delete", f"{PARTICIPANT}/", participant_endpoints.Participant),
        "Delete everything about a participant permanently",
        None,
        (*_OF_ONE, 409),
    ),
    Endpoint(
        *("get", f"{PREFIX}/openapi.json", Description),
        "This document",
        ("application/json",),
        (429, 500),
    ),
)

_RESPONSES_OF_STATUS = {
    400: "Bad request: a parameter or field is missing or wrong",
    401: "Unauthorized: the key is missing, unknown, expired or revoked",
    403: "Forbidden: the role may not do this",
    404: "Not found: no such session or result; or the limit of sessions is reached",
    408: "The upload was too slow",
    409: "Conflict: somebody else has changed it, or it is in use",
    413: "The video or body is too large",
    416: "The file has no such range",
    429: "Too many requests, or the queue is full; Retry-After states when to try again",
    500: "Unexpected error on the server",
    507: "The disk of the server is full",
}
_PARAMETERS = {
    "session_id": "Id of the session",
    "user_id": "Id of the participant",
    "date": "Day of the visit, as 2026-11-30",
    "name": "Name of the file, as in the documents",
}

_SHAPES: Mapping[str, Mapping[str, str]] = {"date": {"format": "date"}, "name": {}}

_DEMO = "true: the pre-generated demo session instead of a real one"
_MATCHED = "the ETag that was read ('\"0\"': there was nothing yet)"


@functools.lru_cache
def description(url: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the interface.

    `url` is the part of addresses before the paths.
    """
    named = {model for endpoint in ENDPOINTS for model in (endpoint.body, endpoint.answers)}
    models = {model for model in named if isinstance(model, type)}
    models |= {contract.ErrorBody, contract.FieldErrors, CreationFault}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, "serialization" if model not in _BODIES else "validation") for model in ordered],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mobility",
            "version": mobility.__version__,
            "description": "Joint angles and squat metrics from video, on your own server.",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": url}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "API-KEY <key>, or the key alone",
                }
            },
        },
    }


_BODIES: frozenset[type[BaseModel]] = frozenset({CreationForm, CreationFormForOthers, ConfigBody})
_VIDEO_PART = {
    "contentType": "video/mp4",
    "headers": {
        "Content-Disposition": {
            "required": True,
            "description": "with a file name that has the ending of a video file",
            "schema": {
                "type": "string",
                "examples": ['form-data; name="video"; filename="squat.mp4"'],
                "example": 'form-data; name="video"; filename="squat.mp4"',
            },
        }
    },
}


_KEYPOINTS_PART = {
    "contentType": "application/octet-stream",
    "headers": {
        "Content-Disposition": {
            "required": True,
            "description": "with a file name that ends in .json, .csv, .nc or .h5",
            "schema": {
                "type": "string",
                "examples": ['form-data; name="keypoints"; filename="squat.csv"'],
                "example": 'form-data; name="keypoints"; filename="squat.csv"',
            },
        }
    },
}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method} {endpoint.path.removeprefix(PREFIX)}",
        "summary": endpoint.summary,
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint),
    }
    if endpoint.body is not None:
        content: dict[str, Any] = {"schema": _reference(endpoint.body)}
        if issubclass(endpoint.body, CreationForm):
            content["encoding"] = {"video": _VIDEO_PART, "keypoints": _KEYPOINTS_PART}
        operation["requestBody"] = {
            "required": True,
            "content": {
                "multipart/form-data" if "encoding" in content else "application/json": content
            },
        }
    if endpoint.handler is Description:
        operation["security"] = []
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": description,
            "schema": {"type": "string", **_SHAPES.get(name, {"pattern": ID})},
        }
        for name, description in _PARAMETERS.items()
        if f"{{{name}}}" in endpoint.path
    ]
    is_demo = {"type": "boolean", "default": False}
    system = {"type": "string", "enum": ["metric", "imperial"], "default": "metric"}
    for is_taken, name, place, description, schema in (
        (endpoint.demo, "demo", "query", _DEMO, is_demo),
        (endpoint.system, "system", "query", "measurement system of the texts", system),
        (endpoint.matched, "If-Match", "header", _MATCHED, {"type": "string"}),
    ):
        if is_taken:
            parameters.append(
                {"name": name, "in": place, "description": description, "schema": schema}
            )
    return parameters


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if endpoint.answers is None:
        responses["204"] = {"description": "It was deleted"}
    elif isinstance(endpoint.answers, tuple):
        binary: Mapping[str, Any] = {kind: {"schema": {}} for kind in endpoint.answers}
        responses["200"] = {"description": "The requested file", "content": binary}
        if 416 in endpoint.statuses:
            responses["206"] = {"description": "The requested range", "content": binary}
    else:
        schema: dict[str, Any] = _reference(endpoint.answers)
        if endpoint.listed:
            schema = {"type": "array", "items": schema}
        responses["200"] = {
            "description": endpoint.answers.__doc__ or "",
            "content": {"application/json": {"schema": schema}},
        }
    for status in sorted(endpoint.statuses):
        fault: dict[str, Any] = _reference(contract.ErrorBody)
        if status == 400:
            fault = {"anyOf": [fault, _reference(contract.FieldErrors)]}
        if endpoint.body and issubclass(endpoint.body, CreationForm):
            fault = _reference(CreationFault)
        responses[str(status)] = {
            "description": _RESPONSES_OF_STATUS[status],
            "content": {"application/json": {"schema": fault}},
        }
    return responses


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
