"""What every test shares: no network beyond this machine, no telemetry, none of a developer's own settings."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
for name in [name for name in os.environ if name.startswith("CATVTON_")]:
    del os.environ[name]  # a developer's own settings must not change what a test sees

import ipaddress
import socket

import pytest
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("suite", deadline=None, max_examples=40, print_blob=True, derandomize=True)
hypothesis_settings.load_profile("suite")

_connect = socket.socket.connect


def _is_local(address) -> bool:
    if not isinstance(address, tuple):  # a Unix socket's path
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


def _guarded_connect(self, address):
    if self.type == socket.SOCK_STREAM and not _is_local(address):
        raise ConnectionRefusedError(f"A test tried to reach {address[0]}; tests use this machine only.")
    return _connect(self, address)


@pytest.fixture(autouse=True, scope="session")
def no_network():
    socket.socket.connect = _guarded_connect
    yield
    socket.socket.connect = _connect
