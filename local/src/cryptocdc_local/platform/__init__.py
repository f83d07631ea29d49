"""The embedded platform: the real servers, as processes of one machine."""

from cryptocdc_local.platform.endpoints import Endpoints
from cryptocdc_local.platform.errors import HaltError, PlatformError
from cryptocdc_local.platform.platform import SERVERS, Platform, ServerStatus
from cryptocdc_local.platform.settings import Heaps, PlatformSettings, Ports

__all__ = [
    "SERVERS",
    "Endpoints",
    "HaltError",
    "Heaps",
    "Platform",
    "PlatformError",
    "PlatformSettings",
    "Ports",
    "ServerStatus",
]
