"""Requests over HTTP -> predictions as JSON, and a page to ask from: `oragen serve`."""
