"""Server reflection, by the descriptors that are published with the contract.

The versions v1 and v1alpha of the protocol have the same messages under other names. Callers that
ask for v1 first, such as `buf curl`, need not fall back.
"""

import importlib.resources
from collections.abc import Collection
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

V1ALPHA: str = reflection.SERVICE_NAME
V1 = "grpc.reflection.v1.ServerReflection"

_METHOD = "ServerReflectionInfo"


class Symbols:
    """A descriptor pool that also finds a service by the name of one of its methods.

    The one of Python does not, and callers describe methods.
    """

    def __init__(self, pool: descriptor_pool.DescriptorPool) -> None:
        self._pool = pool

    def FindFileContainingSymbol(self, name: str) -> FileDescriptor:  # noqa: N802
        """Return the file that declares `name`. Raises KeyError."""
        try:
            return self._pool.FindFileContainingSymbol(name)
        except KeyError:
            service, _, method = name.rpartition(".")
            found = self._pool.FindServiceByName(service)
            if method not in found.methods_by_name:
                raise
            file: FileDescriptor = found.file
            return file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


class Reflection:
    """Describes the services of these names, and itself in both versions."""

    def __init__(self, services: Collection[str]) -> None:
        names = (*services, V1ALPHA, V1)
        servicer: Any = reflection.aio.ReflectionServicer(names, pool=Symbols(published()))
        self._handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )

    def add_to(self, server: Any) -> None:
        """Add the protocol to a grpc.aio server."""
        handlers = [
            grpc.method_handlers_generic_handler(name, {_METHOD: self._handler})
            for name in (V1ALPHA, V1)
        ]
        server.add_generic_rpc_handlers(handlers)


def published() -> descriptor_pool.DescriptorPool:
    """Return the descriptors of the contract, as published, and of health and reflection.

    Those in the generated modules lack the JSON names.
    """
    path = importlib.resources.files("partway.v1") / "descriptors.binpb"
    contract = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
    health, v1alpha = descriptor_pb2.FileDescriptorProto(), descriptor_pb2.FileDescriptorProto()
    health_pb2.DESCRIPTOR.CopyToProto(health)
    reflection_pb2.DESCRIPTOR.CopyToProto(v1alpha)
    pool = descriptor_pool.DescriptorPool()
    for file in (*contract.file, health, v1alpha, _as_v1(v1alpha)):
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _as_v1(v1alpha: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """Return the file of version v1, of which there is no module."""
    v1 = descriptor_pb2.FileDescriptorProto(
        name="grpc/reflection/v1/reflection.proto", package="grpc.reflection.v1", syntax="proto3"
    )
    v1.message_type.extend(v1alpha.message_type)
    v1.service.extend(v1alpha.service)
    for message in v1.message_type:
        for field in filter(lambda each: each.type_name, message.field):
            field.type_name = _renamed(field.type_name)
    for service in v1.service:
        for method in service.method:
            method.input_type = _renamed(method.input_type)
            method.output_type = _renamed(method.output_type)
    return v1


def _renamed(type_name: str) -> str:
    return type_name.replace(".grpc.reflection.v1alpha.", ".grpc.reflection.v1.")
