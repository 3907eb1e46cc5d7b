"""The terms of RO-Crate 1.1 that archives use, for a validator without a network: its cache is filled with them."""

import io
import json

SPECIFICATION = "https://w3id.org/ro/crate/1.1/context"
SCHEMA = """about actionStatus additionalType affiliation agent author contentSize CreateAction ControlAction
    ComputerLanguage CreativeWork Dataset datePublished description encodingFormat endTime hasPart HowTo HowToStep
    instrument license mainEntity mentions name object OrganizeAction Organization position programmingLanguage
    PropertyValue publisher result SoftwareApplication SoftwareSourceCode softwareVersion startTime step url value
    version workExample""".split()
TERMS = {term: f"http://schema.org/{term}" for term in SCHEMA} | {
    "File": "http://schema.org/MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
}  # fmt: skip


def fill_cache(path) -> None:
    """Writes a cache of roc-validator, which is one of requests-cache, that has the specification's terms."""
    import requests
    from requests.adapters import BaseAdapter
    from requests_cache import CachedSession
    from urllib3 import HTTPResponse

    class Adapter(BaseAdapter):
        def send(self, request, **_):
            response = requests.Response()
            response.status_code, response.url, response.request = 200, request.url, request
            headers = {"Content-Type": "application/ld+json"}
            body = io.BytesIO(json.dumps({"@context": TERMS}).encode())
            response.raw, response.headers = HTTPResponse(body, headers, 200, preload_content=False), headers
            return response

        def close(self):
            pass

    with CachedSession(str(path), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", Adapter())
        session.get(SPECIFICATION)
