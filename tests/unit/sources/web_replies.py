"""What the sites of the tests answer, byte by byte."""


def http(body, *, status=200, kind="text/html; charset=utf-8", **headers):
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(data)}", "Connection: close"]
    lines += [f"Content-Type: {kind}"] if kind else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def redirect(to, status=302):
    return http(b"", status=status, Location=to)
