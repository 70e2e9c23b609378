# SPDX-License-Identifier: Apache-2.0
"""Certificates made for a test, by openssl."""

import subprocess


def openssl(*arguments, input=None):
    result = subprocess.run(["openssl", *map(str, arguments)], input=input, capture_output=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


class Identity:
    """A certificate and its key: `name`.pem and `name`.key in a folder."""

    def __init__(self, folder, name, *, issuer=None, names=(), rsa=False, days=30, authority=False, password=None):
        self.certificate = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"
        kind = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("genpkey", "-algorithm", *kind, "-out", self.key)
        if password:  # in the way that all versions of mbedtls can open
            self.key.write_bytes(openssl("pkey", "-in", self.key, "-traditional", "-aes256", "-passout",
                                         f"pass:{password}"))
        opened = ["-passin", f"pass:{password}"] if password else []
        request = openssl("req", "-new", "-key", self.key, *opened, "-subj", f"/CN={name}")
        extensions = folder / f"{name}.ext"
        lines = ["basicConstraints=critical,CA:TRUE" if authority else "basicConstraints=CA:FALSE"]
        if names:
            lines.append("subjectAltName=" + ",".join(f"DNS:{each}" for each in names))
        extensions.write_text("\n".join(lines) + "\n", encoding="ascii")
        signer = ["-CA", issuer.certificate, "-CAkey", issuer.key, "-CAcreateserial"] if issuer else \
                 ["-signkey", self.key, *opened]
        self.certificate.write_bytes(openssl("x509", "-req", *signer, "-days", days, "-extfile", extensions,
                                             input=request))
