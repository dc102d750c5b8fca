"""The one resolver of data and model sources: paths, globs, URLs, archives, hubs and package wheels."""

from lighten.sources.limits import source_limit
from lighten.sources.resolved import Resolved
from lighten.sources.resolver import resolve

__all__ = ["Resolved", "resolve", "source_limit"]
