"""How the operator reaches its API server: address, trust and credentials, of a kubeconfig or of the pod's account.

`Login.session()` gives HTTP sessions that carry the present token, so that a token which is renewed on disk, as a
service account's is each hour, needs no restart. Used by `Api` and handed to kopf, so that both log in the same way.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.client.rest import RESTClientObject

from treering_api import TreeringError

_READ_BUFFER_BYTES = 2**21  # one event of a watch is one line, as long as the object


class LoginError(TreeringError):
    """There is no usable way to an API server."""


class Login:
    """Where the API server is and how to prove who we are. Made by `login`."""

    def __init__(self, kubeconfig: str | None, configuration: Configuration, context: ssl.SSLContext) -> None:
        self._kubeconfig = kubeconfig
        self._configuration = configuration
        self._context = context

    @property
    def server(self) -> str:
        """The API server's address, without a slash at the end."""
        return str(self._configuration.host).rstrip("/")

    def session(self, heard: Callable[[str], None] | None = None) -> aiohttp.ClientSession:
        """A new session; its owner closes it.

        Args:
            heard: called with the path that was asked, whenever something of its answer arrives.
        """
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._context),
            proxy=self._configuration.proxy,
            middlewares=(self._authorize,),
            read_bufsize=_READ_BUFFER_BYTES,
            trace_configs=[_hearing(heard)] if heard else None,
        )

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        await self._put_token(request)
        response = await handler(request)
        if response.status == 401:
            self._configuration = await _load(self._kubeconfig)
            await self._put_token(request)
            response.close()
            response = await handler(request)
        return response

    async def _put_token(self, request: aiohttp.ClientRequest) -> None:
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        if token:
            request.headers["Authorization"] = token


async def login(kubeconfig: str | None) -> Login:
    """Read how to reach the API server.

    Args:
        kubeconfig: the file; None: the service account of the pod that this runs in.

    Raises:
        LoginError: the file or the pod's account is not there or not usable.
    """
    configuration = await _load(kubeconfig)
    try:
        context = RESTClientObject(configuration).ssl_context
    except (OSError, ssl.SSLError) as error:
        raise LoginError(
            kubeconfig or "the pod's service account",
            f"its certificates can't be used: {error}",
            "Give it a readable certificate authority, client certificate and key in PEM",
        ) from None
    return Login(kubeconfig, configuration, context)


async def _load(kubeconfig: str | None) -> Configuration:
    configuration = Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            return configuration
        if not Path(kubeconfig).is_file():
            raise LoginError(kubeconfig, "there is no such file", "Name a kubeconfig with --kubeconfig")
        await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=kubeconfig, client_configuration=configuration, persist_config=False
        )
    except config.ConfigException as error:
        raise LoginError(
            kubeconfig or "the pod's service account",
            f"it says no way to an API server: {error}",
            "In a pod, mount a service account's token; elsewhere name a kubeconfig with --kubeconfig",
        ) from None
    return configuration


def _hearing(heard: Callable[[str], None]) -> aiohttp.TraceConfig:
    tracing = aiohttp.TraceConfig()

    async def hear(
        _: object, __: object, said: aiohttp.TraceResponseChunkReceivedParams | aiohttp.TraceRequestEndParams
    ) -> None:
        heard(said.url.path)

    tracing.on_response_chunk_received.append(hear)
    tracing.on_request_end.append(hear)
    return tracing
