"""Which certificates a client of this program trusts: those of the system."""

import os
import ssl

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # macOS, FreeBSD
)
"""Where systems have the certificates that they trust. OpenSSL looks only where the machine had
them that it was built on, which for the executable is another one."""


def make_context(bundles: tuple[str, ...] = _BUNDLES) -> ssl.SSLContext:
    """Return a context that trusts what the system trusts.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` name other certificates, as for any program with OpenSSL.
    """
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None and not context.cert_store_stats()["x509_ca"]:
        bundle = next(filter(os.path.isfile, bundles), None)
        if bundle is not None:
            context.load_verify_locations(bundle)
    return context
