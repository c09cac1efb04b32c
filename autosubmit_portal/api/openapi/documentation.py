"""How an operation is described in the OpenAPI document. What concerns actions is derived from the catalogue."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)

from autosubmit_portal.api.action_requests import LONGEST_WAIT_SECONDS, Envelope
from autosubmit_portal.api.openapi.examples import FINISHED, PROBLEMS, RUN_LOG, SIM, make_example, make_parameters
from autosubmit_portal.api.serializers.actions import ActionItem, DryRun
from autosubmit_portal.api.serializers.common import Problem
from autosubmit_portal.api.serializers.fields import Query
from experiments.actions.parameters import make_field
from experiments.actions.validation import Shape
from experiments.catalogue.kinds import CATALOGUE, ActionKind, Target

View = TypeVar("View", bound=Callable[..., Any])

ERRORS = {
    400: "A parameter or the body is wrong; `errors` says what is wrong with each.",
    401: "Nobody is signed in, or the token is unknown or has expired.",
    403: "A role or a permission is missing: `detail` says where, `permission` what would do everywhere; or a second "
    "person is needed.",
    404: "There is no such thing, or it may not be seen.",
    405: "The address is that of a job whose name has slashes, which takes no such method.",
    406: "The formats in `Accept` are not on offer.",
    409: "The state forbids it now. `action_id` is the action in the way; `sites` are those that have the expid.",
    413: "The body is too long.",
    415: "The body is not JSON; send `Content-Type: application/json`.",
    416: "The range is beyond the end; `Content-Range` says how long the log is.",
    422: "The `Idempotency-Key` has been used for another request; `action_id` is what that one made.",
    429: "Too many requests; `Retry-After` says when to try again.",
    503: "The store of the site cannot be read now; `detail` says why.",
}
EVERYWHERE = (401, 403, 406, 429)
CHANGES = ("create", "act", "partial_update", "partial_bulk_update", "destroy")
# The web server answers these itself, to requests that are no more read than that.
OF_SERVER = {
    (414, "text/html"): OpenApiResponse(OpenApiTypes.STR, "The address is too long; ask for less at once."),
    (431, "text/html"): OpenApiResponse(OpenApiTypes.STR, "The headers are too long, or too many."),
}
NOT_MODIFIED = {304: OpenApiResponse(None, "The answer is the one whose `ETag` was sent.")}


@dataclass(frozen=True, slots=True)
class Body:
    """What may be sent: one shape for each action that may be asked for; the empty name is of the only one.

    `examples` are by their titles, in the order of the shapes; `component` names several shapes together. `titles` and
    `queries` are what people call the actions, and what the address says besides. `forms` are the shapes with what may
    also stand in the address, for forms have only a body.
    """

    shapes: Mapping[str, Shape]
    examples: Mapping[str, Any]
    component: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)
    queries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    forms: Mapping[str, Shape] = field(default_factory=dict)

    @classmethod
    def make(cls, shape: Shape, examples: Mapping[str, Any]) -> "Body":
        """Return the only body that an operation takes."""
        return cls({"": shape}, examples)

    def request(self) -> dict[str, OpenApiRequest]:
        """Return the body as the document has it."""
        shapes = list(self.shapes.values())
        either = PolymorphicProxySerializer(
            component_name=self.component, serializers=shapes, resource_type_field_name=None
        )
        shown = [OpenApiExample(title, value) for title, value in self.examples.items()]
        body = shapes[0] if len(shapes) == 1 else either
        return {"application/json": OpenApiRequest(body, examples=shown)}


@dataclass(frozen=True, slots=True)
class Described:
    """What an operation takes; it stands on its method for whoever shows that to people.

    Bodies, examples and titles are by the names of the actions that they ask for, of which `queries` are the rest of
    the address; the only body of an operation that asks for no action has the empty name.
    """

    summary: str
    query: type[Query] | None
    bodies: Mapping[str, Shape]
    examples: Mapping[str, Any]
    titles: Mapping[str, str]
    queries: Mapping[str, Mapping[str, str]]

    def get_query(self, name: str) -> dict[str, str]:
        """Return the query parameters that ask for an action."""
        return dict(self.queries.get(name, {}))


def operation(
    operation_id: str,
    summary: str,
    answers: dict[Any, OpenApiResponse],
    *,
    parameters: Sequence[Any] = (),
    errors: Iterable[int] = (),
    body: Body | None = None,
    is_open: bool = False,
) -> Callable[[View], View]:
    """Describe an operation; its description is the docstring of the method. `is_open`: without sign-in or limit.

    The arguments of the method are those of the address. `errors` are those that do not follow from what it takes.
    """

    def decorate(view: View) -> View:
        view.described = _describe(summary, parameters, body)  # type: ignore[attr-defined]
        names = [name for name in signature(view).parameters if name in PATH]
        describe = extend_schema(
            operation_id=operation_id,
            summary=summary,
            parameters=[*(PATH[name] for name in names), *parameters],
            request=body.request() if body else None,
            responses=answers
            | (NOT_MODIFIED if ETAG in parameters else {})
            | _list_problems({*errors, *_get_implied(view, names, parameters), *((406,) if is_open else EVERYWHERE)})
            | OF_SERVER,
        )
        return describe(view)

    return decorate


def _describe(summary: str, parameters: Sequence[Any], body: Body | None) -> Described:
    queries = [found for found in parameters if isinstance(found, type) and issubclass(found, Query)]
    return Described(
        summary,
        queries[0] if queries else None,
        (body.forms or body.shapes) if body else {},
        dict(zip(body.shapes, body.examples.values(), strict=False)) if body else {},
        body.titles if body else {},
        body.queries if body else {},
    )


def _get_implied(view: Any, names: Sequence[str], parameters: Sequence[Any]) -> Iterator[int]:
    """Yield the errors that follow from the method of a viewset, its address and its headers."""
    if view.__name__ == "get":
        return  # of a view that is no viewset
    yield 400
    yield from (404,) if names else ()
    yield from (409,) if "expid" in names else ()
    yield from (413, 415) if view.__name__ in CHANGES or "post" in getattr(view, "mapping", {}) else ()
    yield from (422,) if KEY in parameters else ()


def _list_problems(statuses: Iterable[int]) -> dict[Any, OpenApiResponse]:
    return {
        (status, "application/problem+json"): OpenApiResponse(
            Problem, ERRORS[status], [OpenApiExample("Example", PROBLEMS[status])]
        )
        for status in sorted(statuses)
    }


def answer(shape: Shape, description: str, **differing: Any) -> OpenApiResponse:
    """Describe an answer; `differing` is what its example has in some fields."""
    return OpenApiResponse(shape, description, [OpenApiExample("Example", make_example(shape, **differing))])


def change(
    operation_id: str,
    summary: str,
    *,
    kinds: Sequence[ActionKind],
    query: Shape,
    parameters: Sequence[OpenApiParameter] = (),
    in_address: Sequence[str] = (),
) -> Callable[[View], View]:
    """Describe an operation that requests an action of one of `kinds`.

    `in_address` names the parameters of the kinds that stand in the address instead of the body.
    """
    return operation(
        operation_id,
        summary,
        parameters=[query, *parameters, PREFER, KEY, LOCATION, REPLAYED],
        body=_make_body(operation_id, kinds, frozenset(in_address)),
        errors=(404, 409),
        answers={
            200: OpenApiResponse(
                PolymorphicProxySerializer(
                    component_name="FinishedActionOrDryRun",
                    serializers=[ActionItem, DryRun],
                    resource_type_field_name=None,
                ),
                "The finished action (with `Prefer: wait`, or repeated), or what it would do (with `dry_run`).",
                [
                    OpenApiExample("Finished", make_example(ActionItem, **FINISHED)),
                    OpenApiExample("Dry run", make_example(DryRun)),
                ],
            ),
            202: answer(
                ActionItem,
                "The action is queued, did not end within the wait, or waits for a second person's approval.",
            ),
        },
    )


def make_header(
    name: str, description: str, title: str, example: str, response: Sequence[int] = ()
) -> OpenApiParameter:
    """Describe a header of a request, or of the responses with these statuses."""
    return OpenApiParameter(
        name,
        location=OpenApiParameter.HEADER,
        description=description,
        response=list(response) or False,
        examples=[OpenApiExample(title, example)],
    )


VALIDATOR = 'W/"4c1f0d9b7a2e4b8f8f6d2f3a1b0c9d8e"'
PREFER = make_header(
    "Prefer",
    f"`wait=N` (RFC 7240): wait up to N seconds, at most {LONGEST_WAIT_SECONDS}, for the action to end. "
    "Few wait at the same time: without a place, the answer comes at once with `Preference-Applied: wait=0`, and "
    "`Retry-After` says when to ask again.",
    "Wait",
    "wait=20",
)
KEY = make_header(
    "Idempotency-Key",
    "A name for this request, of at most 255 printable characters, such as a UUID. Repeating the request with it "
    "answers the action that the first one made, instead of making another. A refused request uses up no key, and "
    "`dry_run=true` ignores it.",
    "UUID",
    "0b1f6e2c-58a5-4a53-9c1f-2b6a7f0d3f11",
)
REPLAYED = make_header(
    "Idempotent-Replayed",
    "`true` when the answer is the action that the same request has made before.",
    "Repeated",
    "true",
    (200, 202),
)
LOCATION = make_header("Location", "The address of the action.", "Action", "/v4/actions/17", (200, 202))
IF_NONE_MATCH = make_header(
    "If-None-Match",
    "The `ETag` of an earlier answer: if this one is the same, `304` without a body is answered.",
    "Known",
    VALIDATOR,
)
ETAG = make_header(
    "ETag", "A weak validator of the answer, to send back in `If-None-Match`.", "Validator", VALIDATOR, (200,)
)
CONDITIONAL = (IF_NONE_MATCH, ETAG)


def make_format_parameter(*formats: str) -> OpenApiParameter:
    """Return the parameter that chooses the format, the first by default."""
    return OpenApiParameter(
        "format", enum=formats, description=f"The format, instead of what `Accept` names; by default {formats[0]}."
    )


def _make_path_parameter(name: str, description: str, example: Any, kind: Any = None) -> OpenApiParameter:
    return OpenApiParameter(
        name,
        type=kind or type(example),
        location=OpenApiParameter.PATH,
        description=description,
        examples=[OpenApiExample(str(example), example)],
    )


# The parts of addresses, by the name of the argument.
PATH = {
    parameter.name: parameter
    for parameter in (
        _make_path_parameter("expid", "The expid of the experiment.", "a000"),
        _make_path_parameter("run_id", "The number of the run.", 1),
        # Clients take parts of dots out of an address, which then is another.
        _make_path_parameter("job", "The name of the job.", SIM, {"type": "string", "pattern": "[^./]"}),
        _make_path_parameter(
            "log", "The name of the log; of a compressed one with or without `.gz` or `.xz`.", RUN_LOG
        ),
        _make_path_parameter("action_id", "The number of the action.", 17),
        _make_path_parameter("delegation_id", "The number of the delegation.", 5),
        _make_path_parameter("freeze_id", "The number of the freeze.", 3),
        _make_path_parameter("note_id", "The number of the note.", 3),
        _make_path_parameter("entry_id", "The number of the entry.", 512),
        _make_path_parameter("token_id", "How the token begins: its `id` in the list.", "9c1f4a7b2d8e063"),
        _make_path_parameter("slug", "The short name of the site.", "local"),
    )
}


def list_actions() -> list[ActionKind]:
    """Return the kinds that are asked for as the `action` on an experiment."""
    return [kind for kind in CATALOGUE.values() if kind.target is not Target.SITE and not kind.is_edit]


def write_table(kinds: Sequence[ActionKind]) -> str:
    """Return what the kinds do, as a table in Markdown."""
    rows = (
        f"| `{kind.name}` | {_explain(kind)} | `experiments.{kind.permission}` | {_list_options(kind)} |"
        for kind in kinds
    )
    return "\n".join(("| action | what it does | permission | parameters |", "| --- | --- | --- | --- |", *rows))


def _explain(kind: ActionKind) -> str:
    needs = "Needs a `reason` where it destroys something." if kind.impact else ""
    return " ".join(filter(None, (kind.help, kind.warning, needs)))


def _list_options(kind: ActionKind) -> str:
    names = (f"`{option.name}`" + (" (required)" if option.required else "") for option in kind.options)
    return ", ".join(names) or "none"


def make_action_parameter() -> OpenApiParameter:
    """Return the parameter that chooses what is done to an experiment."""
    kinds = list_actions()
    return OpenApiParameter(
        "action",
        # Not `enum=`, which sorts: the first one is what the page proposes, and it should not be a destructive one.
        type={"type": "string", "enum": [kind.name for kind in kinds]},
        required=True,
        description=f"The action.\n\n{write_table(kinds)}",
        examples=[OpenApiExample(kind.title, kind.name) for kind in kinds],
    )


def make_option_parameter(kind: ActionKind, name: str) -> OpenApiParameter:
    """Return an option of a kind as a parameter in the query string."""
    option = next(option for option in kind.options if option.name == name)
    return OpenApiParameter(
        name,
        enum=list(option.choices) or None,
        required=option.required,
        description=option.help,
        examples=[OpenApiExample(str(option.example), option.example)],
    )


def _make_body(operation_id: str, kinds: Sequence[ActionKind], left_out: frozenset[str]) -> Body:
    return Body(
        {kind.name: make_shape(kind, left_out) for kind in kinds},
        {kind.title: {**make_parameters(kind, left_out), "reason": "first year"} for kind in kinds},
        "".join(word.capitalize() for word in operation_id.split("_")) + "Request",
        {kind.name: kind.title for kind in kinds},
        {kind.name: _make_query(kind) for kind in kinds},
        {kind.name: make_shape(kind, left_out - {"status"}) for kind in kinds},
    )


def _make_query(kind: ActionKind) -> dict[str, str]:
    """Return what an address says to ask for a kind of action."""
    if kind in list_actions():
        return {"action": kind.name}
    return {"live": "true"} if kind.needs_run else {}


@cache
def make_shape(kind: ActionKind, left_out: frozenset[str] = frozenset()) -> Shape:
    """Return the body that requests an action of `kind`, without the parameters that the address says."""
    options = [option for option in kind.options if option.name not in left_out]
    words = [*kind.name.split("_"), *(["of", "one"] if "jobs" in left_out else []), "request"]
    fields: dict[str, Any] = {option.name: make_field(option) for option in options}
    return type("".join(word.capitalize() for word in words), (Envelope,), {"__doc__": kind.help, **fields})
