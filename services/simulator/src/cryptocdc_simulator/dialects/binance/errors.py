"""The exchange's error responses, with its codes and messages."""

from __future__ import annotations

from cryptocdc_simulator.dialects.port import ApiError


def error(status: int, code: int, message: str, retry_after: int | None = None) -> ApiError:
    """A response {"code": …, "msg": …} with an HTTP status; `retry_after`: seconds."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return ApiError(status, {"code": code, "msg": message}, headers)


def refusal(status: int, seconds: int, limit: int, until_ms: int) -> ApiError:
    """Return how every request is refused for the remaining seconds, up to `until_ms`; `limit`: the weight per
    minute."""
    if status == 429:
        return too_much_weight(limit, seconds)
    if status == 418:
        return banned(until_ms, seconds)
    return restricted() if status == 451 else unavailable(status)


def invalid_symbol() -> ApiError:
    return error(400, -1121, "Invalid symbol.")


def invalid_interval() -> ApiError:
    return error(400, -1120, "Invalid interval.")


def missing(name: str) -> ApiError:
    return error(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, pattern: str) -> ApiError:
    return error(400, -1100, f"Illegal characters found in parameter '{name}'; legal range is '{pattern}'.")


def invalid_value(name: str) -> ApiError:
    return error(400, -1130, f"Data sent for parameter '{name}' is not valid.")


def bad_combination() -> ApiError:
    return error(400, -1128, "Combination of optional parameters invalid.")


def unread(read: int, sent: int) -> ApiError:
    return error(400, -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def too_much_weight(limit: int, retry_after: int) -> ApiError:
    return error(
        429,
        -1003,
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
        retry_after,
    )


def banned(until_ms: int, retry_after: int) -> ApiError:
    return error(
        418,
        -1003,
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans.",
        retry_after,
    )


def unavailable(status: int) -> ApiError:
    return error(status, -1001, "Internal error; unable to process your request. Please try again.")


def restricted() -> ApiError:
    return error(
        451,
        0,
        "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of use."
        " Please contact customer service if you believe you received this message in error.",
    )


def not_found(path: str) -> ApiError:
    return error(404, -1000, f"No endpoint {path}.")
