"""Hosts that hand out keys. They pass through the same clients as models do, and are left alone whatever their path (wire.md, 9)."""

_HOSTS = frozenset(
    {
        "oauth2.googleapis.com",
        "accounts.google.com",
        "iamcredentials.googleapis.com",
        "metadata.google.internal",
        "metadata",
        "fd00:ec2::254",
        "fd00:ec2::23",
    }
)
_BEGINNINGS = ("sts.", "sts-fips.", "oidc.", "169.254.", "login.microsoftonline.", "login.windows.", "login.chinacloudapi.")


class _Known(dict[str, bool]):
    """Hosts, and whether they are left alone. Each is looked at once."""

    MOST = 4096

    def __missing__(self, host: str) -> bool:
        name = host.lower().strip("[].")
        left_alone = name in _HOSTS or name.startswith(_BEGINNINGS)
        if len(self) < self.MOST:
            self[host] = left_alone
        return left_alone


left_alone = _Known()
"""Whether a host is none of our business: ``left_alone[host]``."""
