"""What a call means on the wire: the path, the arguments, and how its result is read."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from attrs import frozen

from flow_backend.errors import InvalidArguments, InvalidCall
from flow_backend.functions.function import Function, Kind, path_of
from flow_backend.functions.validate import Contract, compile_contract
from flow_backend.schema.classes import structure_document
from flow_backend.schema.convert import TypeConverter
from flow_backend.schema.document import Document
from flow_backend.schema.mismatch import Structure
from flow_backend.schema.model import prepare_document
from flow_backend.values.encode import from_wire, to_wire
from flow_backend.values.value import JsonValue

AnyFunction: TypeAlias = Function[..., Any]
_KEPT_CONTRACTS: Final = 4096


@frozen
class Call:
    """A call, ready to be sent. ``read`` makes of its result what the function's type says."""

    path: str
    args: dict[str, JsonValue]
    read: Callable[[JsonValue], Any]


def prepare_call(
    kind: Kind, function: AnyFunction | str, args: tuple[object, ...], named: Mapping[str, object]
) -> Call:
    """Check a call before anything is sent.

    A path stands for a function whose code is not at hand: arguments and result are plain values.

    Raises: InvalidArguments if the arguments do not fit; InvalidCall if the function is of another
        kind; SchemaError if its annotations cannot be read.
    """
    if args:
        raise InvalidArguments("Arguments go by name: client.query(tasks.list_, board=board)")
    if isinstance(function, str):
        wire = to_wire(dict(named))
        assert isinstance(wire, dict)
        return Call(function, wire, from_wire)
    if function.kind is not kind:
        raise InvalidCall(
            f"{path_of(function)} is a {function.kind.value.lower()}: "
            f"call it with client.{function.kind.value.lower()}()"
        )
    contract = _contract(function)
    return Call(contract.path, contract.wire_arguments(named), contract.take_result)


@lru_cache(maxsize=_KEPT_CONTRACTS)
def _contract(function: AnyFunction) -> Contract:
    # What the server's errors name, this side's errors name as well.
    function.path = path_of(function)
    return compile_contract(function, _TYPES)


def _structure_document(cls: type[Document]) -> Structure:
    prepare_document(cls)
    return structure_document(cls)


_TYPES: Final = TypeConverter(document_of_result=_structure_document)
