from .messages import Answer as Answer
from .messages import Channel as Channel
from .messages import Request as Request
from .process import Child as Child
from .process import ChildDiedError as ChildDiedError
