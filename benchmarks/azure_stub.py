"""Runs as a program: the least of Azure Blob that answers, in memory; see `s3_stub`."""

from __future__ import annotations

import asyncio

from benchmarks.s3_stub import MODIFIED, Kept, StubBucket, serve

ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
_KEPT = (b"x-ms-meta-", b"x-ms-blob-content-type:")


class StubContainer(StubBucket):
    """One container's blobs; each write has an ETag of its own."""

    def answer(self, method: bytes, target: bytes, headers: list[bytes], body: bytes) -> bytes:
        path = target.partition(b"?")[0]
        if method == b"PUT":
            self.uploads += 1
            etag = b'"0x%015X"' % self.uploads
            beside = [h for h in headers if h.lower().startswith(_KEPT)]
            lines = b"".join(h.replace(b"x-ms-blob-content", b"content") + b"\r\n" for h in beside)
            head = b"ETag: %s\r\n%sx-ms-blob-type: BlockBlob\r\n%s" % (etag, MODIFIED, lines)
            self.objects[path] = Kept(head, body)
            created = b"HTTP/1.1 201 Created\r\nETag: %s\r\n%sContent-Length: 0\r\n\r\n"
            return created % (etag, MODIFIED)
        if method == b"DELETE":
            self.objects.pop(path, None)
            return ACCEPTED
        kept = self.objects.get(path)
        if kept is None:
            code = b"x-ms-error-code: BlobNotFound\r\n"
            return b"HTTP/1.1 404 Not Found\r\n%sContent-Length: 0\r\n\r\n" % code
        size = len(kept.body)
        if any(h.lower().startswith((b"x-ms-range:", b"range:")) for h in headers):
            span = b"Content-Range: bytes 0-%d/%d\r\n" % (size - 1, size)
            first = b"HTTP/1.1 206 Partial Content\r\n%s" % span
        else:
            first = b"HTTP/1.1 200 OK\r\n"
        content = b"" if method == b"HEAD" else kept.body
        return b"%sContent-Length: %d\r\n%s\r\n%s" % (first, size, kept.head, content)


if __name__ == "__main__":
    asyncio.run(serve(StubContainer()))
