"""Drug responses of a file, in the layouts of users and publishers."""

from cellixir.data.responses.read import read_responses
from cellixir.data.responses.request import ResponseTable

__all__ = ["ResponseTable", "read_responses"]
