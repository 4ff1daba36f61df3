"""A kubelet's way to its client certificate, and quotas of any resource."""

from __future__ import annotations

import asyncio
import base64

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from . import controloptions
from .control import controlled
from .test_garbage import API

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
QUOTAS = "/api/v1/namespaces/default/resourcequotas"
MAPS = "/api/v1/namespaces/default/configmaps"


def request(common_name: str) -> str:
    subject = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    signed = made.sign(controloptions.key(), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def test_who_may_gets_a_certificate_for_a_node() -> None:
    async def main() -> None:
        options = controloptions.options(["csrapproving", "csrsigning"])
        async with controlled(options=options) as client:
            api = API(client)
            spec = {
                "request": request("system:node:n"),
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
                "usages": ["digital signature", "client auth"],
                "expirationSeconds": 86400,
            }
            code, made = await api.ask("POST", CSRS, {"metadata": {"name": "c"}, "spec": spec})
            assert code == 201, made
            found = await api.until(f"{CSRS}/c", lambda _, body: "certificate" in body["status"])
            approved = found["status"]["conditions"][0]
            assert (approved["type"], approved["reason"]) == ("Approved", "AutoApproved")
            assert approved["message"] == "Auto approving kubelet client certificate after SubjectAccessReview."
            certificate = x509.load_pem_x509_certificate(base64.b64decode(found["status"]["certificate"]))
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(options.cluster_signing_cert))
            lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
            assert lifetime.total_seconds() == 86400

    asyncio.run(main())


def test_quotas_count_what_goes_away_of_any_resource() -> None:
    async def main() -> None:
        few = controloptions.options(["resourcequota", "root-ca-cert-publisher"])
        async with controlled(options=few) as client:
            api = API(client)
            await api.until(f"{MAPS}/kube-root-ca.crt", lambda code, _: code == 200)
            for name in ("a", "b"):
                await api.make(MAPS, name)
            hard = {
                "count/configmaps": "9",
                "configmaps": "9",
                "count/jobs.batch": "1",
                "count/nothing.example.com": "1",
            }
            await api.ask("POST", QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": hard}})

            def used(count: str) -> dict[str, str]:
                return {"count/configmaps": count, "configmaps": count, "count/jobs.batch": "0"}

            await api.until(f"{QUOTAS}/q", lambda _, body: body["status"].get("used") == used("3"))
            await api.ask("DELETE", f"{MAPS}/a")
            await api.until(f"{QUOTAS}/q", lambda _, body: body["status"]["used"] == used("2"))

    asyncio.run(main())
