"""Hosts log sources that are WASI components.

A source is one `.wasm` file that knows its vendor: how to sign in, what to ask, how far it has come. This package runs it: it
gives it HTTP where that is allowed, checks what it returns, and keeps its state.

    from pipeline_source import Source, StateFile

    config = {
        "instance_url": "https://acme.my.salesforce.com",
        "auth": {
            "flow": "jwt-bearer",
            "client_id": "3MVG9...",
            "username": "collector@acme.com",
            "private_key": {"file": "client-key.pem"},
        },
        "streams": {"login": {"event_log_file": {"interval": "1h"}}},
    }
    with StateFile("state.json", tenant="acme") as state:
        with Source("salesforce-source.wasm", config, state=state, allow=["acme.my.salesforce.com"]) as source:
            for batch in source:
                for event in batch.events:
                    print(event["event"]["id"])
                batch.ack()

Where HTTP goes: wasmtime-py has no hook for it; left alone, a component reaches every host that the process reaches. So this
package puts a gate of its own before it: requests go to the authorities that the configuration needs, of them those that
`allow` covers, and nowhere else. The gate knows names and not addresses; what that leaves open stands in `pipeline_source.egress`.
"""

from .answers import Event, Limits
from .component import Component
from .configuration import Settings, read_config, read_settings
from .contract import (
    ApiUsage,
    BacklogDay,
    Description,
    Finding,
    Grants,
    Kind,
    Problem,
    Stats,
    Stream,
)
from .errors import (
    BrokenContract,
    ComponentCrashed,
    ConfigurationError,
    NotASource,
    PollFailure,
    SourceError,
    StateError,
    StateInUse,
    TimeLimitExceeded,
    UnsupportedWasmtime,
)
from .output import EventFile
from .source import Batch, Source
from .state import StateFile, StateStore
from .stopping import StopEvent, StopOnSignal

__version__ = "0.1.0"
__all__ = [
    "ApiUsage",
    "BacklogDay",
    "Batch",
    "BrokenContract",
    "Component",
    "ComponentCrashed",
    "ConfigurationError",
    "Description",
    "Event",
    "EventFile",
    "Finding",
    "Grants",
    "Kind",
    "Limits",
    "NotASource",
    "PollFailure",
    "Problem",
    "Settings",
    "Source",
    "SourceError",
    "StateError",
    "StateFile",
    "StateInUse",
    "StateStore",
    "Stats",
    "StopEvent",
    "StopOnSignal",
    "Stream",
    "TimeLimitExceeded",
    "UnsupportedWasmtime",
    "read_config",
    "read_settings",
]
