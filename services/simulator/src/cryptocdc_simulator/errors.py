"""The error bodies of the exchange, with their codes and words."""

from __future__ import annotations


class ApiError(Exception):
    """An answer {"code": …, "msg": …} with an HTTP status."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message

    @property
    def body(self) -> dict[str, object]:
        return {"code": self.code, "msg": self.message}


def invalid_symbol() -> ApiError:
    return ApiError(400, -1121, "Invalid symbol.")


def invalid_interval() -> ApiError:
    return ApiError(400, -1120, "Invalid interval.")


def missing(name: str) -> ApiError:
    return ApiError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, pattern: str) -> ApiError:
    return ApiError(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def invalid_value(name: str) -> ApiError:
    return ApiError(400, -1130, f"Data sent for parameter '{name}' is not valid.")


def bad_combination() -> ApiError:
    return ApiError(400, -1128, "Combination of optional parameters invalid.")


def unread(read: int, sent: int) -> ApiError:
    return ApiError(400, -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def too_much_weight(limit: int) -> ApiError:
    return ApiError(
        429,
        -1003,
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    )


def banned(until_ms: int) -> ApiError:
    return ApiError(
        418,
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
    )


def unavailable(status: int) -> ApiError:
    return ApiError(status, -1001, "Internal error; unable to process your request. Please try again.")


def restricted() -> ApiError:
    return ApiError(
        451,
        0,
        "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use."
        " Please contact customer service if you believe you received this message in error.",
    )


FIREWALL_PAGE = b"<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>"
"""What the web application firewall sends with status 403: no error of the API."""
LOGIN_PAGE = b"<html><head><title>Sign in</title></head><body><form>Sign in to use this network.</form></body></html>"
"""What a captive portal sends with status 200."""


def not_found(path: str) -> ApiError:
    return ApiError(404, -1000, f"No endpoint {path}.")
